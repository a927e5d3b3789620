// skippipe nodes, status, jobs, attach, stop, drain, remove: a cluster from outside.
#include "runtime/cli.hpp"
#include "runtime/commands/cluster_option.hpp"
#include "runtime/commands/natural_order.hpp"
#include "runtime/commands/screen.hpp"
#include "runtime/daemon/submission.hpp"
#include "runtime/trace/text_table.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

namespace skippipe::runtime {

namespace {

using nlohmann::json;

struct words {
  daemon::cluster_words cluster;
  std::string name;
  double deadline = 0;
  bool json = false, watch = false, force = false;
};

std::string text_of(const json& value) {
  return value.is_null() ? "-" : value.is_string() ? value.get<std::string>() : value.dump();
}

std::size_t width_of(const json& rows, const std::string& column) {
  auto width = column.size();
  for (const auto& row : rows)
    width = std::max(width, text_of(row.value(column, json{})).size());
  return width;
}

/// Shortens what is in `column` so that the columns fit into `width`, but not to less than `least`: its beginning
/// (of a path) or its end gives way.
void shorten(json& rows, const std::vector<std::string>& columns, const std::string& column,
             bool beginning, std::size_t width, std::size_t least) {
  std::size_t all = 2 * (columns.size() - 1);
  for (const auto& one : columns)
    all += width_of(rows, one);
  if (all <= width)
    return;
  const auto own = width_of(rows, column);
  const auto most = std::max(least, own - std::min(own, all - width));
  for (auto& row : rows) {
    const auto text = text_of(row.value(column, json{}));
    if (text.size() > most)
      row[column] = beginning ? "..." + text.substr(text.size() - most + 3)
                              : text.substr(0, most - 3) + "...";
  }
}

void print_table(std::ostream& out, const json& rows, const std::vector<std::string>& columns) {
  std::vector<std::size_t> widths;
  for (const auto& column : columns)
    widths.push_back(width_of(rows, column));
  const auto print = [&](const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      auto text = cell(columns[i]);
      text.resize(std::max(widths[i], text.size()), ' ');
      line += text + (i + 1 < columns.size() ? "  " : "");
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  print([](const std::string& column) { return column; });
  for (const auto& row : rows)
    print([&](const std::string& column) { return text_of(row.value(column, json{})); });
}

/// By name; the scheduler's node stays first.
void sort_nodes(json& nodes) {
  std::stable_sort(nodes.begin(), nodes.end(), [](const json& a, const json& b) {
    const bool first = a.value("scheduler", false), second = b.value("scheduler", false);
    return first != second ? first : by_number(a.value("name", ""), b.value("name", ""));
  });
}

int nodes(const words& w) {
  daemon::client cluster{w.cluster};
  auto reply = cluster.ask("nodes");
  sort_nodes(reply.at("nodes"));
  if (w.json)
    print_json(reply);
  else
    print_table(std::cout, reply.at("nodes"),
                {"name", "state", "stage", "control", "data", "memory", "location", "reason"});
  return 0;
}

int jobs(const words& w) {
  daemon::client cluster{w.cluster};
  auto reply = cluster.ask("jobs");
  if (w.json) {
    print_json(reply);
    return 0;
  }
  auto& rows = reply.at("jobs");
  const std::vector<std::string> columns{"id", "state", "iteration", "run_dir", "outcome"};
  if (const auto width = columns_of_terminal(); width > 0) { // Elsewhere all of it is shown.
    constexpr std::size_t least = 24;
    shorten(rows, columns, "run_dir", true, width, least);
    shorten(rows, columns, "outcome", false, width, least);
  }
  print_table(std::cout, rows, columns);
  return 0;
}

/// A figure with the unit that suits it; "-" where there is none.
std::string figure(const json& value, double unit, const char* format) {
  if (!value.is_number())
    return "-";
  char text[48];
  std::snprintf(text, sizeof text, format, value.get<double>() * unit);
  return text;
}

/// A stage without a loss has none to show.
json or_nothing(const json& seconds) {
  return seconds.is_number() && seconds.get<double>() > 0 ? seconds : json{};
}

void print_profile(std::ostream& out, const json& profile) {
  json rows = json::array();
  for (const auto& node : profile) {
    const auto slowest = node.value("slowest", json::object());
    rows.push_back(
        {{"node", node.value("name", "")},
         {"stage", node.value("stage", json{})},
         {"forward", figure(node.value("forward_s", json{}), 1e3, "%.2f ms")},
         {"loss", figure(or_nothing(node.value("loss_s", json{})), 1e3, "%.2f ms")},
         {"backward", figure(node.value("backward_s", json{}), 1e3, "%.2f ms")},
         {"links", node.value("links", 0)},
         {"slowest", slowest.value("peer", json{})},
         {"latency", figure(slowest.value("latency_s", json{}), 1e3, "%.2f ms")},
         {"bandwidth", figure(slowest.value("bandwidth_Bps", json{}), 1e-6, "%.1f MB/s")},
         {"clock", figure(node.value("clock_offset_s", json{}), 1e3, "%+.3f ms")},
         {"within", figure(node.value("clock_uncertainty_s", json{}), 1e3, "%.3f ms")}});
  }
  if (rows.empty())
    return;
  print_table(out, rows,
              {"node", "stage", "forward", "loss", "backward", "links", "slowest", "latency",
               "bandwidth", "clock", "within"});
  out << "forward, loss, backward: of one microbatch; links: that are known, and the slowest of "
         "them;\n"
         "clock: by how much the scheduler's is ahead, known within so much\n";
}

std::string status_text(const json& reply) {
  std::ostringstream out;
  out << "cluster " << reply.value("cluster", "") << ", term " << reply.value("term", 0)
      << "; nodes:";
  for (const auto& [state, count] : reply.at("nodes").items())
    out << ' ' << count << ' ' << state;
  out << '\n';
  const auto& job = reply.at("job");
  if (job.is_null()) {
    out << "no job runs\n";
  } else {
    out << "job " << job.value("id", "") << ": " << job.value("phase", "");
    if (job.contains("progress")) {
      const auto& at = job["progress"];
      char text[200];
      std::snprintf(text, sizeof text,
                    ", iteration %llu, loss %.4f, %.0f tokens/s, %.2f s an iteration",
                    at.value("iteration", 0ull), at.value("loss", 0.0),
                    at.value("tokens_per_s", 0.0), at.value("iteration_s", 0.0));
      out << text;
      if (const auto scale = job.value("time_scale", 1.0); scale != 1)
        out << ", emulated (" << scale << " s in a real second)";
    }
    out << "\n  " << job.value("run_dir", "") << '\n';
  }
  if (reply.value("queued", 0) > 0)
    out << reply.value("queued", 0) << " queued\n";
  print_profile(out, reply.value("profile", json::array()));
  return out.str();
}

int status(const words& w) {
  daemon::client cluster{w.cluster};
  screen drawn;
  while (true) {
    auto reply = cluster.ask("status");
    if (reply.contains("profile"))
      sort_nodes(reply["profile"]);
    if (w.json)
      print_json(reply);
    else if (w.watch)
      drawn.draw(status_text(reply));
    else
      std::cout << status_text(reply) << std::flush;
    if (!w.watch)
      return 0;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

int order(const words& w, const std::string& what) {
  daemon::client cluster{w.cluster};
  const auto reply = cluster.order(what, w.name, w.deadline);
  if (w.json)
    print_json({{"name", w.name}, {"state", reply}});
  else
    std::cout << w.name << ": " << reply << '\n';
  return 0;
}

} // namespace

void add_cluster_commands(CLI::App& app, command_context& context) {
  const auto add = [&](const char* name, const char* what, int (*run)(const words&)) {
    auto* command = app.add_subcommand(name, what);
    auto w = std::make_shared<words>();
    add_cluster_options(*command, w->cluster);
    command->add_flag("--json", w->json, "JSON on stdout");
    command->callback([&context, w, run] { context.run = [w, run] { return run(*w); }; });
    return std::pair{command, w};
  };
  add("nodes", "Who is in the cluster", nodes);
  add("jobs", "Which jobs there are", jobs);
  const auto [watching, status_words] = add("status", "What the cluster does", status);
  watching->add_flag("--watch", status_words->watch, "Show it again every second, until Ctrl-C");
  const auto [attach, attach_words] = add("attach", "Follow a job", [](const words& w) {
    return daemon::attach_job(w.cluster, w.name, w.json);
  });
  attach->add_option("JOB", attach_words->name, "The job's id, as `skippipe jobs` lists it")
      ->required();
  const auto [stop, stop_words] = add("stop", "End a job after its iteration, with a checkpoint",
                                      [](const words& w) { return order(w, "stop"); });
  stop->add_option("JOB", stop_words->name, "The job's id, as `skippipe jobs` lists it")
      ->required();
  const auto [drain, drain_words] =
      add("drain", "Let a node leave as soon as its stage can do without it",
          [](const words& w) { return order(w, "drain"); });
  drain->add_option("NODE", drain_words->name, "The node's name, as `skippipe nodes` lists it")
      ->required();
  drain
      ->add_option("--deadline", drain_words->deadline,
                   "Seconds from now after which it is taken as lost")
      ->check(CLI::Range(0.001, 1e6));
  const auto [remove, remove_words] =
      add("remove", "Take a node out at once; one that has left is listed no more",
          [](const words& w) { return order(w, w.force ? "remove by force" : "remove"); });
  remove->add_option("NODE", remove_words->name, "The node's name, as `skippipe nodes` lists it")
      ->required();
  remove->add_flag("--force", remove_words->force, "Take it as lost even while it serves a stage");
}

} // namespace skippipe::runtime
