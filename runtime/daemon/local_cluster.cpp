#include "runtime/daemon/local_cluster.hpp"

#include "runtime/check/probe.hpp"
#include "runtime/config/node_file.hpp"
#include "runtime/daemon/child_process.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/output.hpp"
#include "runtime/security/authority.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <string_view>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds start_patience{120}, end_patience{60}, again{2};

struct daemon_process {
  std::string name;
  fs::path log;
  std::streamoff log_begin = 0; ///< Above are the lines of those before it.
  std::unique_ptr<child_process> process;
  json ready; ///< What it said; null before.
  bool gone = false;
  int status = 0; ///< Once gone.
};

/// The line with which a program of ours says why it ends; empty where this child wrote none. A log file
/// may have another writer, and lines of earlier lives.
std::string reason_in(const daemon_process& one) {
  constexpr std::string_view mark = "skippipe: ";
  std::ifstream in{one.log};
  in.seekg(one.log_begin);
  std::string line, reason;
  while (std::getline(in, line))
    if (line.starts_with(mark) && !line.starts_with("skippipe: warning: "))
      reason = line.substr(mark.size());
  return reason;
}

/// What follows "has ended with status N".
std::string why_ended(const daemon_process& one) {
  if (one.status > 128)
    return " (killed by signal " + std::to_string(one.status - 128) + ")";
  const auto reason = one.status != 0 ? reason_in(one) : "";
  return reason.empty() ? "" : ": " + reason;
}

class local_cluster {
public:
  local_cluster(const cluster_config& cluster, std::string program, bool json)
      : cluster_(cluster), program_(std::move(program)), json_(json),
        dir_(fs::weakly_canonical(fs::absolute(cluster.dir))) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGCHLD})
      sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    std::error_code problem;
    fs::create_directories(dir_, problem);
    if (problem)
      throw std::runtime_error(dir_.string() + ": cannot be created: " + problem.message()
                               + "; choose another cluster.dir");
  }
  ~local_cluster() {
    ::close(signals_);
    if (!control_.empty())
      forget_cluster(control_);
  }

  int run() {
    refuse_other_cluster();
    make_keys();
    auto scheduler = node(0);
    const auto former = former_port();
    if (scheduler.listen.port == 0 && former != 0
        && probe_listen({scheduler.listen.host, former}).empty())
      scheduler.listen.port = former;
    start(scheduler);
    if (!wait_ready())
      return end();
    control_ = nodes_.front().ready.value("control", "");
    // Started again from its file, it is where the others look for it.
    scheduler.listen.port = parse_address(control_).value_or(address{}).port;
    write_file(scheduler);
    keep_port(former);
    if (cluster_.common.tls)
      remember_cluster(control_, authority_folder() / "operator");
    for (std::uint32_t i = 1; i < cluster_.nodes; ++i)
      start(node(i));
    if (!wait_ready())
      return end();
    announce();
    while (!asked_to_end() && !all_gone())
      watch(std::chrono::milliseconds{-1});
    if (asked_to_end())
      return end();
    std::cerr << "skippipe: all daemons have ended, and the cluster with them\n";
    return failed_ ? 1 : 0;
  }

private:
  fs::path authority_folder() const { return dir_ / "keys"; }
  fs::path file_of(const std::string& node) const { return dir_ / (node + ".toml"); }
  std::string name_of(std::uint32_t i) const {
    return i == 0 ? "scheduler" : "node-" + std::to_string(i);
  }

  /// Its keys, jobs and tokens are that cluster's.
  void refuse_other_cluster() const {
    const auto held = cluster_of_node_file(file_of("scheduler"));
    if (!held.empty() && held != cluster_.name)
      throw std::runtime_error(dir_.string() + ": holds the cluster '" + held + "', not '"
                               + cluster_.name + "'; choose another cluster.dir, or the name '"
                               + held + "'");
  }

  void make_keys() {
    if (!cluster_.common.tls)
      return;
    using security::authority;
    const auto folder = authority_folder();
    const auto life = std::chrono::days{365};
    if (!fs::exists(folder / "ca.pem"))
      authority::create(folder, cluster_.name, std::chrono::days{3650});
    authority ca{folder};
    std::vector<std::string> names{"operator"};
    for (std::uint32_t i = 0; i < cluster_.nodes; ++i)
      names.push_back(name_of(i));
    for (const auto& name : names)
      if (!fs::exists(ca.files_of(name).certificate))
        ca.issue(name, {"127.0.0.1", "localhost"}, life);
  }

  /// Of the last time, so that --cluster and SKIPPIPE_CLUSTER stay what they were; 0: none that will do.
  std::uint16_t former_port() const {
    const auto& range = cluster_.common.ports;
    std::uint32_t port = 0;
    std::ifstream{dir_ / "port"} >> port;
    const bool fits = range.low == 0 || (port >= range.low && port <= range.high);
    return port <= 65535 && fits ? static_cast<std::uint16_t>(port) : std::uint16_t{0};
  }
  void keep_port(std::uint16_t former) const {
    const auto port = parse_address(control_).value_or(address{}).port;
    std::ofstream{dir_ / "port"} << port << '\n';
    if (former != 0 && former != port && cluster_.common.listen.port == 0)
      std::cerr << "skippipe: note: port " << former
                << ", this cluster's so far, is another's now\n";
  }

  node_config node(std::uint32_t i) const {
    node_config config = cluster_.common;
    config.name = name_of(i);
    config.cluster = cluster_.name;
    config.dir = dir_ / config.name;
    config.runs_scheduler = config.dedicated = i == 0;
    config.seeds.clear();
    config.token.clear(); // It admits one node, and need not lie in the files of all.
    if (i > 0) {
      config.listen.port = config.data_listen.port = 0;
      if (config.metrics)
        config.metrics->port = 0;
      config.seeds.push_back(*parse_address(control_));
    }
    if (!config.emulation.links.empty())
      config.emulation.links = fs::absolute(config.emulation.links);
    const auto& locations = cluster_.locations;
    if (i > 0 && !locations.empty())
      config.emulation.location = locations[(i - 1) % locations.size()];
    if (config.tls) {
      const auto keys = authority_folder() / config.name;
      config.ca = keys / "ca.pem";
      config.certificate = keys / "certificate.pem";
      config.key = keys / "key.pem";
    }
    return config;
  }

  void write_file(const node_config& config) const {
    std::ofstream{file_of(config.name)} << node_file_text(config);
  }

  void start(const node_config& config) {
    write_file(config);
    daemon_process one;
    one.name = config.name;
    one.log = dir_ / (config.name + ".log");
    std::error_code absent;
    if (const auto size = fs::file_size(one.log, absent); !absent)
      one.log_begin = static_cast<std::streamoff>(size);
    one.process = std::make_unique<child_process>(
        std::vector<std::string>{program_, "node", "--config", file_of(config.name).string()},
        one.log);
    nodes_.push_back(std::move(one));
  }

  /// Lets the daemons speak and end; notes signals.
  void watch(std::chrono::milliseconds patience) {
    std::vector<pollfd> fds{{signals_, POLLIN, 0}};
    for (const auto& one : nodes_)
      if (one.process->output() >= 0)
        fds.push_back({one.process->output(), POLLIN, 0});
    ::poll(fds.data(), fds.size(), static_cast<int>(patience.count()));
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info)
      asked_ += info.ssi_signo != SIGCHLD ? 1 : 0;
    for (auto& one : nodes_) {
      std::vector<std::string> lines;
      if (one.process->output() >= 0)
        one.process->read_lines(lines);
      for (const auto& line : lines)
        if (line.rfind("READY ", 0) == 0)
          one.ready = json::parse(line.substr(6), nullptr, false);
      int status = 0;
      if (!one.gone && one.process->ended(status)) {
        one.gone = true;
        one.status = status;
        failed_ |= status != 0;
        report_exit(one);
      }
    }
  }

  void report_exit(const daemon_process& one) const {
    const auto restart = program_ + " node --config " + file_of(one.name).string();
    if (json_) {
      print_json({{"event", "node_exit"},
                  {"name", one.name},
                  {"status", one.status},
                  {"restart", restart}});
    } else if (announced_) { // Before, it is the error with which we end.
      std::cout << one.name << " has ended with status " << one.status << why_ended(one) << '\n';
      if (!asked_to_end())
        std::cout << "  to start it again: " << restart << '\n';
      std::cout << std::flush;
    }
  }

  bool asked_to_end() const { return asked_ > 0; }

  /// False when asked to end meanwhile.
  bool wait_ready() {
    const auto until = steady::now() + start_patience;
    while (true) {
      const auto waiting = std::find_if(nodes_.begin(), nodes_.end(),
                                        [](const auto& one) { return one.ready.is_null(); });
      if (waiting == nodes_.end())
        return true;
      if (asked_to_end())
        return false;
      if (waiting->gone || steady::now() >= until)
        throw std::runtime_error(waiting->name
                                 + (waiting->gone ? " has ended with status "
                                                        + std::to_string(waiting->status)
                                                        + why_ended(*waiting)
                                                  : " is not ready in time")
                                 + "; its log is " + waiting->log.string());
      watch(std::chrono::milliseconds{500});
    }
  }

  void announce() {
    announced_ = true;
    if (json_) {
      json list = json::array();
      for (const auto& one : nodes_)
        list.push_back(one.ready);
      print_json({{"event", "ready"}, {"control", control_}, {"nodes", list}});
      return;
    }
    std::cout << "cluster '" << cluster_.name << "' is ready: " << nodes_.size()
              << " daemons, the scheduler at " << control_ << "\n  logs in " << dir_.string()
              << "\n  next: skippipe train JOB.toml --cluster " << control_ << "\n  Ctrl-C stops it"
              << std::endl;
  }

  bool all_gone() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& one) { return one.gone; });
  }

  /// The scheduler first, so that a running job ends with a checkpoint while its nodes are there.
  int end() {
    const auto asked = asked_;
    const auto wait_for = [&](auto done) {
      const auto until = steady::now() + end_patience;
      while (!done() && asked_ == asked && steady::now() < until)
        watch(std::chrono::milliseconds{200});
    };
    if (!nodes_.empty()) {
      nodes_.front().process->signal(SIGTERM);
      wait_for([&] { return nodes_.front().gone; });
    }
    // Again and again: one that has only just started may have lost the first.
    auto next = steady::now();
    wait_for([&] {
      if (steady::now() >= next) {
        for (const auto& one : nodes_)
          one.process->signal(SIGINT);
        next = steady::now() + again;
      }
      return all_gone();
    });
    for (const auto& one : nodes_)
      if (!one.gone)
        std::cerr << "skippipe: note: " << one.name << " does not end and is killed\n";
    return 0; // What is left is killed.
  }

  const cluster_config& cluster_;
  const std::string program_;
  const bool json_;
  const fs::path dir_;
  int signals_ = -1;
  unsigned asked_ = 0; ///< Signals to end.
  bool announced_ = false, failed_ = false;
  std::string control_;
  std::list<daemon_process> nodes_;
};

} // namespace

int run_local_cluster(const cluster_config& cluster, const std::string& program, bool json) {
  local_cluster running{cluster, program, json};
  return running.run();
}

} // namespace skippipe::runtime::daemon
