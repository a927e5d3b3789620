#include "runtime/daemon/local_cluster.hpp"

#include "runtime/cli.hpp"
#include "runtime/daemon/child_process.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/daemon/node_file.hpp"
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

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds start_patience{120}, end_patience{60};

struct daemon_process {
  std::string name;
  fs::path log;
  std::unique_ptr<child_process> process;
  json ready; ///< What it said; null before.
  bool gone = false;
};

std::string last_line(const fs::path& file) {
  std::ifstream in{file};
  std::string line, last;
  while (std::getline(in, line))
    if (!line.empty())
      last = line;
  return last;
}

class local_cluster {
public:
  local_cluster(const cluster_config& cluster, std::string program, bool json)
      : cluster_(cluster), program_(std::move(program)), json_(json),
        dir_(fs::absolute(cluster.dir)) {
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
    make_keys();
    start(node(0));
    if (!wait_ready())
      return end();
    control_ = nodes_.front().ready.value("control", "");
    if (cluster_.common.tls)
      remember_cluster(control_, authority_folder() / "operator");
    for (std::uint32_t i = 1; i < cluster_.nodes; ++i)
      start(node(i));
    if (!wait_ready())
      return end();
    announce();
    while (!asked_to_end())
      watch(std::chrono::milliseconds{-1});
    return end();
  }

private:
  fs::path authority_folder() const { return dir_ / "keys"; }
  std::string name_of(std::uint32_t i) const {
    return i == 0 ? "scheduler" : "node-" + std::to_string(i);
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

  node_config node(std::uint32_t i) const {
    node_config config = cluster_.common;
    config.name = name_of(i);
    config.cluster = cluster_.name;
    config.dir = dir_ / config.name;
    config.runs_scheduler = config.dedicated = i == 0;
    config.seeds.clear();
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

  void start(const node_config& config) {
    const auto file = dir_ / (config.name + ".toml");
    std::ofstream{file} << node_file_text(config);
    daemon_process one;
    one.name = config.name;
    one.log = dir_ / (config.name + ".log");
    one.process = std::make_unique<child_process>(
        std::vector<std::string>{program_, "node", "--config", file.string()}, one.log);
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
        report_exit(one, status);
      }
    }
  }

  void report_exit(const daemon_process& one, int status) const {
    if (json_)
      print_json({{"event", "node_exit"}, {"name", one.name}, {"status", status}});
    else
      std::cout << one.name << " has ended with status " << status
                << (status != 0 ? ": " + last_line(one.log) : "") << std::endl;
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
                                 + (waiting->gone ? " has ended" : " is not ready in time") + ": "
                                 + last_line(waiting->log) + " (" + waiting->log.string() + ")");
      watch(std::chrono::milliseconds{500});
    }
  }

  void announce() const {
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
    for (const auto& one : nodes_)
      one.process->signal(SIGINT);
    wait_for([&] { return all_gone(); });
    return 0; // What is left is killed.
  }

  const cluster_config& cluster_;
  const std::string program_;
  const bool json_;
  const fs::path dir_;
  int signals_ = -1;
  unsigned asked_ = 0; ///< Signals to end.
  std::string control_;
  std::list<daemon_process> nodes_;
};

} // namespace

int run_local_cluster(const cluster_config& cluster, const std::string& program, bool json) {
  local_cluster running{cluster, program, json};
  return running.run();
}

} // namespace skippipe::runtime::daemon
