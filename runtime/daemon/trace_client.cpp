#include "runtime/daemon/trace_client.hpp"

#include "runtime/command_error.hpp"
#include "runtime/trace/event_line.hpp"
#include "runtime/trace/run_trace.hpp"
#include "runtime/train/stop_signal.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <ostream>
#include <utility>
#include <variant>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

/// Nodes pass their events on every quarter of a second; who waits this long has nearly all of them.
constexpr std::int64_t held_back_ns = 700'000'000;

fs::path make_folder() {
  auto name = (fs::temp_directory_path() / "skippipe-trace-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw command_error(fs::temp_directory_path().string() + ": cannot be written: "
                        + std::strerror(errno) + "; set TMPDIR to another folder");
  return name;
}

/// Names come from another machine: two plain words.
bool is_safe(const std::string& name) {
  const auto slash = name.find('/');
  return slash != std::string::npos && slash != 0 && name.find('/', slash + 1) == name.npos
         && name.find("..") != 0 && slash + 1 < name.size() && name.substr(slash + 1) != ".."
         && name.substr(slash + 1) != "." && name.substr(0, slash) != ".";
}

/// Brings events into the order of their times.
class sorter {
public:
  struct entry {
    trace::event e;
    std::shared_ptr<const std::vector<std::string>> names;
  };

  void add(const trace_events& more) {
    const auto names = std::make_shared<const std::vector<std::string>>(more.nodes);
    for (std::size_t at = 0; at + sizeof(trace::event) <= more.events.size();
         at += sizeof(trace::event)) {
      trace::event e;
      std::memcpy(static_cast<void*>(&e), more.events.data() + at, sizeof e);
      if (trace::well_formed(e))
        held_.push_back({e, names});
    }
    std::stable_sort(held_.begin(), held_.end(),
                     [](const entry& a, const entry& b) { return a.e.time_ns < b.e.time_ns; });
  }

  /// Calls `print` for what happened up to then.
  template <class Print>
  void release(std::int64_t until_ns, Print print) {
    auto at = held_.begin();
    for (; at != held_.end() && at->e.time_ns <= until_ns; ++at)
      print(*at);
    held_.erase(held_.begin(), at);
  }

private:
  std::vector<entry> held_;
};

} // namespace

fetched_trace::fetched_trace(client& cluster, const std::string& job,
                             const trace::event_filter& filter) {
  fetch(cluster, job, filter, {});
}

fetched_trace fetched_trace::newest(client& cluster, const std::string& job) {
  // Events are on their way for a moment, in which a small job may do many iterations.
  for (const iteration_no back : {1, 100}) {
    fetched_trace result;
    result.fetch(cluster, job, {}, back);
    const auto run = load_run_trace(result.folder_);
    if (std::holds_alternative<run_trace>(run) && !iterations_of(std::get<run_trace>(run)).empty())
      return result;
  }
  return {cluster, job, {}};
}

fetched_trace::fetched_trace(fetched_trace&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), title_(std::move(other.title_)) {}

fetched_trace::~fetched_trace() {
  std::error_code ignored;
  if (!folder_.empty())
    fs::remove_all(folder_, ignored);
}

void fetched_trace::fetch(client& cluster, const std::string& job, trace::event_filter filter,
                          std::optional<iteration_no> back) {
  folder_ = make_folder();
  // A trace that fills up its file is set aside: then what was listed may be gone.
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto listing = cluster.list_trace({protocol_version, job});
    title_ = "job " + listing.job + " of the cluster at " + cluster.where();
    if (back)
      filter.first = listing.iteration > *back ? listing.iteration - *back : 1;
    if (copy(cluster, listing, filter))
      return;
    fs::remove_all(folder_ / "trace");
    fs::remove_all(folder_ / "plans");
  }
  throw command_error("the trace of " + title_
                      + " grows faster than it can be fetched; name one iteration");
}

bool fetched_trace::copy(client& cluster, const trace_listing& listing,
                         const trace::event_filter& filter) {
  for (const auto& file : listing.files) {
    if (!is_safe(file.name))
      throw command_error(cluster.where() + ": offers a trace file called '" + file.name + "'");
    const auto path = folder_ / file.name;
    fs::create_directories(path.parent_path());
    std::ofstream out{path, std::ios::binary};
    trace_part_request wanted{listing.job, file.name,    file.identity, 0,
                              file.size,   filter.first, filter.last};
    while (wanted.offset < wanted.end) {
      const auto part = cluster.read_trace(wanted);
      if (part.replaced)
        return false;
      out.write(part.bytes.data(), static_cast<std::streamsize>(part.bytes.size()));
      if (part.next <= wanted.offset)
        throw command_error(cluster.where() + ": " + file.name + " cannot be fetched: no progress");
      wanted.offset = part.next;
    }
    out.close();
    if (!out)
      throw command_error(path.string() + ": could not be written (is the disk full?)");
  }
  return true;
}

namespace {

/// Events of a node that is none would never come.
void check_node_name(client& cluster, const std::string& node) {
  if (node.empty() || node == "scheduler")
    return;
  const auto reply = cluster.ask("nodes");
  std::vector<std::string> names;
  for (const auto& one : reply.at("nodes"))
    names.push_back(one.value("name", ""));
  if (std::find(names.begin(), names.end(), node) != names.end())
    return;
  const auto near = nearest_name(node, names);
  throw command_error("--node: the cluster at " + cluster.where() + " has no node '" + node + "'"
                      + (near.empty() ? "" : ", did you mean '" + near + "'?")
                      + " (`skippipe nodes` lists them)");
}

} // namespace

int follow_trace(const cluster_words& where, const follow_words& words, std::ostream& out,
                 std::ostream& err) {
  stop_signal signals;
  std::atomic<bool> stopped{false};
  client cluster{where};
  signals.watch([&] { stopped = true; });
  check_node_name(cluster, words.wanted.node);
  auto wanted = words.wanted;
  sorter order;
  std::uint64_t lost = 0;
  std::int64_t begin_ns = 0;
  const auto print = [&](const sorter::entry& one) {
    const auto name = [&](node_id node) {
      if (node == trace::no_node)
        return std::string("scheduler");
      return node < one.names->size() ? (*one.names)[node] : "node " + std::to_string(node);
    };
    if (begin_ns == 0)
      begin_ns = one.e.time_ns;
    if (words.json)
      out << event_json(one.e, name).dump() << '\n';
    else
      out << event_text(one.e, name, begin_ns) << '\n';
  };
  const auto print_all = [&](std::int64_t until_ns) {
    order.release(until_ns, print);
    out.flush();
  };
  while (!stopped && out) {
    const auto more = cluster.pull_trace(wanted);
    if (wanted.job.empty()) {
      wanted.job = more.job;
      err << "following job " << more.job << std::endl;
    }
    if (more.lost > lost)
      err << "skippipe: warning: " << more.lost - lost
          << " events were lost, they came faster than they were taken; --iteration, --microbatch "
             "or --node leave some out"
          << std::endl;
    lost = more.lost;
    order.add(more);
    if (!more.ended.empty()) {
      print_all(std::numeric_limits<std::int64_t>::max());
      err << "job " << wanted.job << " has ended: " << more.ended << std::endl;
      return 0;
    }
    print_all(more.now_ns - held_back_ns);
  }
  print_all(std::numeric_limits<std::int64_t>::max());
  return 0;
}

} // namespace skippipe::runtime::daemon
