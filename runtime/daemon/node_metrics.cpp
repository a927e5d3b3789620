#include "runtime/daemon/node_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace skippipe::runtime::daemon {

namespace {

using nlohmann::json;

/// As label values are written: backslash, quote and line feed escaped.
std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value)
    if (c == '\n')
      text += "\\n";
    else
      (text += c == '\\' || c == '"' ? "\\" : "") += c;
  return text;
}

class page {
public:
  void family(const char* name, const char* type, const char* help) {
    text_ += std::string{"# HELP "} + name + ' ' + help + "\n# TYPE " + name + ' ' + type + '\n';
    name_ = name;
  }
  void sample(double value, const std::string& labels = "") {
    char number[40];
    std::snprintf(number, sizeof number, " %.17g\n", value);
    text_ += name_ + (labels.empty() ? "" : "{" + labels + "}") + number;
  }
  void one(const char* name, const char* type, const char* help, double value) {
    family(name, type, help);
    sample(value);
  }
  std::string take() { return std::move(text_); }

private:
  std::string text_, name_;
};

void add_process(page& out) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  out.one("process_cpu_seconds_total", "counter", "CPU time of the daemon.",
          seconds(used.ru_utime) + seconds(used.ru_stime));
  std::ifstream file{"/proc/self/statm"};
  double pages = 0, resident = 0;
  if (file >> pages >> resident)
    out.one("process_resident_memory_bytes", "gauge", "Memory of the daemon.",
            resident * static_cast<double>(::sysconf(_SC_PAGESIZE)));
}

void add_scheduler(page& out, const json& status) {
  out.family("skippipe_nodes", "gauge", "Nodes of the cluster that take part in jobs, by state.");
  const auto nodes = status.value("nodes", json::object());
  for (const auto& [state, count] : nodes.items())
    out.sample(count.get<double>(), "state=\"" + escaped(state) + "\"");
  out.one("skippipe_jobs_queued", "gauge", "Jobs that wait for the running one.",
          status.value("queued", 0.0));
  const auto job = status.value("job", json{});
  out.one("skippipe_job_running", "gauge", "1 while there is a job.", job.is_null() ? 0 : 1);
  const auto progress = job.is_null() ? json{} : job.value("progress", json{});
  if (progress.is_null())
    return;
  const auto label = "job=\"" + escaped(job.value("id", "")) + "\"";
  const auto add = [&](const char* name, const char* help, const char* key) {
    out.family(name, "gauge", help);
    out.sample(progress.value(key, 0.0), label);
  };
  add("skippipe_job_iteration", "Iteration committed last.", "iteration");
  add("skippipe_job_loss", "Its loss.", "loss");
  add("skippipe_job_tokens_per_second", "Tokens a second in it.", "tokens_per_s");
  add("skippipe_job_iteration_seconds", "Seconds it took.", "iteration_s");
}

} // namespace

std::string metrics_text(const node_figures& figures) {
  page out;
  out.family("skippipe_info", "gauge", "What this daemon is called.");
  out.sample(1,
             "name=\"" + escaped(figures.name) + "\",cluster=\"" + escaped(figures.cluster) + "\"");
  out.one("skippipe_ready", "gauge", "1 once the node has become ready.", figures.ready ? 1 : 0);
  out.one("skippipe_sent_bytes_total", "counter",
          "Tensors with their headers, and parts of files, sent to other nodes.",
          static_cast<double>(figures.sent_bytes));
  add_process(out);
  if (!figures.status.is_null())
    add_scheduler(out, figures.status);
  return out.take();
}

} // namespace skippipe::runtime::daemon
