#include "runtime/daemon/node_daemon.hpp"

#include "runtime/check/node_check.hpp"
#include "runtime/cli.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/daemon/coordinator.hpp"
#include "runtime/daemon/daemon_signals.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/daemon/membership.hpp"
#include "runtime/daemon/state_folder.hpp"
#include "runtime/gate/open_files.hpp"
#include "runtime/security/certificate.hpp"
#include "runtime/security/expiry.hpp"
#include "runtime/security/key_check.hpp"
#include "runtime/security/pem.hpp"
#include "runtime/security/revocation_keeper.hpp"
#include "runtime/security/token_store.hpp"

#include "actors/torch_shard.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;

namespace {

using logger = std::shared_ptr<spdlog::logger>;

logger make_log(const node_config& config) {
  auto log = spdlog::stderr_color_mt(config.name);
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n %l: %v");
  log->flush_on(spdlog::level::info);
  return log;
}

void set_level(const logger& log, const node_config& config) {
  log->set_level(spdlog::level::from_str(config.log_level));
}

std::uint64_t memory_of_machine() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES))
         * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// "vendor model stepping": results are bit-equal only between equal ones (R12).
std::string cpu_kind() {
  std::ifstream file{"/proc/cpuinfo"};
  std::string line, name;
  while (name.empty() && std::getline(file, line))
    if (line.rfind("model name", 0) == 0)
      name = line.substr(line.find(':') + 2);
  return name.empty() ? "unknown" : name;
}

/// Heartbeats must get through a machine that computes as much as it can: compute gives way.
void yield_to_heartbeats() {
  limit_intra_op_threads(1);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 5);
}

std::string advertised(const node_config& config, std::uint16_t port) {
  if (config.advertise.empty())
    return runtime::address{config.listen.host, port}.text();
  const auto given = parse_address(config.advertise);
  return given ? given->text() : runtime::address{config.advertise, port}.text();
}

class node_daemon {
public:
  explicit node_daemon(const daemon_request& request)
      : request_(request), config_(with_own_revocations(request.config)), log_(make_log(config_)),
        folder_(config_.state_dir()), background_(std::make_unique<compute_pool>(2)),
        desk_(background_->make_strand()) {
    set_level(log_, config_);
    gate::raise_open_files();
    control_options control;
    control.listen = config_.listen;
    control.ports = config_.ports;
    control.detect_within_s = config_.detect_within_s;
    control.log = note();
    if (const auto files = credential_files_of(config_)) {
      control.tls = true;
      control.files = *files;
    }
    plane_ = std::make_unique<control_plane>(control);
    if (config_.runs_scheduler)
      start_scheduler();
    else
      start_entry();
    if (!config_.dedicated)
      start_worker();
    else
      ready();
  }

  ~node_daemon() {
    membership_.reset();
    caf::scoped_actor self{plane_->system()};
    if (worker_) {
      self->send(worker_, new_coordinator{});
      self->send_exit(worker_, caf::exit_reason::user_shutdown);
      self->wait_for(worker_);
      // The last session may still be closing.
      std::promise<void> passed;
      desk_->submit(work_kind::other, [&] { passed.set_value(); });
      passed.get_future().wait();
    }
    if (coordinator_) {
      self->send_exit(coordinator_, caf::exit_reason::user_shutdown);
      self->wait_for(coordinator_);
    }
    if (entry_) {
      self->send_exit(entry_, caf::exit_reason::user_shutdown);
      self->wait_for(entry_);
    }
    forget_cluster(control_);
    worker_ = nullptr;
    coordinator_ = nullptr;
    entry_ = nullptr;
    // A thread that has used the actor system keeps its logger, for which the system waits.
    desk_.reset();
    compute_.reset();
    background_.reset();
  }

  int run() {
    std::uint64_t watchdog_us = 0;
    const bool watched = ::sd_watchdog_enabled(0, &watchdog_us) > 0;
    auto tick =
        watched ? std::chrono::milliseconds{watchdog_us / 3000} : std::chrono::milliseconds{60'000};
    if (revoked_)
      tick = std::min(tick, std::chrono::milliseconds{2000});
    bool draining = false;
    while (true) {
      const auto event = signals_.wait(tick);
      if (watched && answers())
        ::sd_notify(0, "WATCHDOG=1");
      if (revoked_)
        watch_keys();
      if (!event)
        continue;
      using kind = daemon_signals::kind;
      switch (event->what) {
        case kind::reload:
          reload();
          break;
        case kind::terminate:
          if (draining) {
            log_->warn("stopping at once");
            ::_exit(1);
          }
          draining = true;
          ::sd_notify(0, "STOPPING=1");
          if (!drain())
            return 0;
          break;
        case kind::interrupt:
          return 0;
        case kind::dismissed:
          log_->info("left the cluster: {}", event->reason);
          return 0;
        case kind::refused:
          throw std::runtime_error(event->reason);
      }
    }
  }

private:
  std::function<void(const std::string&)> note() {
    return [log = log_](const std::string& line) { log->info("{}", line); };
  }

  /// Commands on this machine find the keys.
  void remember() const {
    if (config_.tls)
      remember_cluster(control_, std::filesystem::absolute(config_.ca).parent_path());
  }

  /// The list in use is a file of ours, see revocation_keeper.
  node_config with_own_revocations(node_config config) {
    if (!config.tls)
      return config;
    auto given = config.revoked.empty() ? security::revoked_beside(config.ca) : config.revoked;
    std::filesystem::create_directories(config.state_dir());
    revoked_ = std::make_unique<security::revocation_keeper>(
        config.ca, std::move(given), std::filesystem::absolute(config.state_dir()) / "revoked.pem");
    config.revoked = revoked_->file();
    return config;
  }

  /// Of a peer. TLS looks at its files every two seconds.
  bool take_revocations(const std::string& pem) {
    const bool newer = revoked_ && revoked_->take(pem);
    if (newer)
      log_->info("took over a newer list of revoked certificates, number {}", revoked_->number());
    return newer;
  }

  /// Every two seconds: the operator may have brought another list, and certificates end.
  void watch_keys() {
    try {
      if (revoked_->look()) {
        log_->info("read a newer list of revoked certificates, number {}", revoked_->number());
        if (coordinator_)
          caf::anon_send(coordinator_, caf::update_atom::value);
        else if (worker_)
          caf::anon_send(worker_, caf::update_atom::value);
      }
      const auto now = security::wall_clock::now();
      if (now < warn_again_)
        return;
      warn_again_ = now + std::chrono::days{1};
      for (const auto& file : {config_.ca, config_.certificate})
        if (const auto line =
                security::expiry_warning(security::read_certificate(file).get(), file, now);
            !line.empty())
          log_->warn("{}", line);
    } catch (const std::exception& problem) {
      log_->warn("{}", problem.what());
    }
  }

  void start_scheduler() {
    coordinator_options options;
    options.cluster = config_.cluster;
    options.name = config_.name;
    options.dir = folder_.path();
    options.journal = std::filesystem::absolute(config_.journal_dir());
    std::filesystem::create_directories(options.journal);
    options.term = folder_.next("term");
    options.detect_within_s = config_.detect_within_s;
    options.wire_dtype = config_.wire_dtype;
    options.sealed = config_.sealed;
    options.background = background_.get();
    if (!config_.emulation.links.empty())
      options.links = std::make_shared<link_table>(config_.emulation.links);
    options.log = note();
    using security::token_store;
    const auto tokens = std::make_shared<token_store>(options.journal);
    options.admit = [tokens](const std::string& name, const std::string& token) {
      return tokens->admit(name, token, token_store::clock::now());
    };
    options.forget = [tokens](const std::string& name) { tokens->forget(name); };
    options.make_token = [tokens](double seconds) {
      const auto now = token_store::clock::now();
      const std::chrono::seconds life{static_cast<std::int64_t>(seconds) + 1};
      const auto token = tokens->create(life, now);
      return nlohmann::json{{"token", token}, {"expires", security::text_of(now + life)}}.dump();
    };
    options.revoke = [this](const std::string& pem) { return take_revocations(pem); };
    options.revoked = [this] { return revoked_ ? revoked_->pem() : std::string{}; };
    options.certificate_name = [this](const caf::node_id& node) { return plane_->name_of(node); };
    options.on_closed = [this] { signals_.tell({daemon_signals::kind::dismissed, "closed"}); };
    options.control = [this] { return control_; };
    coordinator_ = plane_->system().spawn(coordinator, std::move(options));
    const auto port = plane_->publish(coordinator_actor{coordinator_});
    control_ = advertised(config_, port);
    remember();
  }

  /// Whoever comes to this node is told where its scheduler is.
  void start_entry() {
    entry_ = plane_->system().spawn([this](entry_actor::pointer) -> entry_actor::behavior_type {
      return {[this](const seed_request&) {
        const std::lock_guard guard{mutex_};
        return scheduler_.empty() ? answer{"", "this node has not found its scheduler yet"}
                                  : answer{scheduler_, ""};
      }};
    });
    control_ = advertised(config_, plane_->publish(entry_));
    remember();
  }

  void start_worker() {
    const auto life = make_life(config_.name);
    data_ = std::make_unique<data_plane>(config_, life, note());
    compute_ = std::make_unique<compute_pool>(config_.threads, yield_to_heartbeats);
    worker_options options;
    options.host.config = &config_;
    options.host.system = &plane_->system();
    options.host.data = data_.get();
    options.host.compute = compute_.get();
    options.host.background = background_.get();
    options.host.scheduler_clock = &clock_;
    options.host.dir = folder_.path();
    options.desk = desk_;
    options.log = note();
    options.on_dismissed = [this](const std::string& reason) {
      signals_.tell({daemon_signals::kind::dismissed, reason});
    };
    options.revoke = [this](const std::string& pem) {
      try {
        take_revocations(pem);
      } catch (const std::exception& problem) {
        log_->warn("revocation list refused: {}", problem.what());
      }
    };
    options.revoked = [this] { return revoked_ ? revoked_->pem() : std::string{}; };
    worker_ = plane_->system().spawn(worker, std::move(options));

    membership_options join;
    join.plane = plane_.get();
    join.seeds = config_.seeds;
    join.local = coordinator_;
    join.worker = worker_;
    join.incarnation = [this] { return folder_.next("incarnation"); };
    join.clock = &clock_;
    join.detect_within_s = config_.detect_within_s;
    join.log = note();
    join.on_joined = [this](const std::string& scheduler) {
      {
        const std::lock_guard guard{mutex_};
        scheduler_ = scheduler;
      }
      ready();
    };
    join.on_refused = [this](const std::string& why) {
      signals_.tell({daemon_signals::kind::refused, why});
    };
    auto& me = join.introduction;
    me.cluster = config_.cluster;
    me.name = config_.name;
    me.token = config_.token;
    me.life = life;
    me.device = config_.device;
    me.cpu = cpu_kind();
    me.wire_dtype = config_.wire_dtype;
    me.sealed = config_.sealed;
    me.location =
        config_.emulation.location.empty() ? config_.location : config_.emulation.location;
    me.memory_bytes = memory_of_machine();
    me.memory_microbatches = config_.memory_microbatches;
    me.control = control_;
    me.data = data_->where();
    const auto& where = data_->address();
    const auto* first = reinterpret_cast<const char*>(where.data());
    me.data_address.assign(first, first + where.size());
    const auto& e = config_.emulation;
    me.emulation = {e.compute_s, e.time_scale, e.payload_bytes, e.sync_bytes};
    me.pid = static_cast<std::uint64_t>(::getpid());
    me.worker = worker_;
    membership_ = std::make_unique<membership>(std::move(join));
  }

  /// Once, when it serves. On the membership's thread, or before it.
  void ready() {
    if (ready_.exchange(true))
      return;
    const nlohmann::json what{{"name", config_.name},
                              {"pid", ::getpid()},
                              {"control", control_},
                              {"data", data_ ? data_->where() : ""},
                              {"metrics", ""}};
    std::cout << "READY " << what.dump() << std::endl;
    ::sd_notify(0, "READY=1");
    log_->info("ready");
  }

  /// True while someone has to tell us that we may go.
  bool drain() {
    bool waits = false;
    if (coordinator_) {
      log_->info("stopping; the running job goes on when this daemon is back (again: at once)");
      caf::anon_send(coordinator_, caf::close_atom::value);
      waits = true;
    } else if (membership_) {
      const auto problem = membership_->leave();
      if (problem.empty())
        log_->info("draining (again: at once)");
      else
        log_->warn("leaving without having been drained: {}", problem);
      waits = problem.empty();
    }
    return waits;
  }

  void reload() {
    const auto fresh = request_.reload ? request_.reload() : std::nullopt;
    if (!fresh) {
      log_->warn("the configuration stays as it was");
      return;
    }
    set_level(log_, *fresh);
    log_->info("configuration read again: log.level = {}; other changes need a restart",
               fresh->log_level);
  }

  /// Whether the actors still answer, for systemd's watchdog.
  bool answers() {
    caf::scoped_actor self{plane_->system()};
    bool well = true;
    if (coordinator_)
      self->request(coordinator_, std::chrono::seconds{5}, clock_request{})
          .receive([](const clock_answer&) {}, [&](const caf::error&) { well = false; });
    return well;
  }

  const daemon_request& request_;
  std::unique_ptr<security::revocation_keeper> revoked_; ///< With tls.
  security::wall_clock::time_point warn_again_ = security::wall_clock::now() + std::chrono::days{1};
  const node_config config_;
  daemon_signals signals_; ///< Before any thread.
  logger log_;
  state_folder folder_;
  /// Two workers: a session that closes waits for its own last files.
  std::unique_ptr<compute_pool> background_;
  std::shared_ptr<executor> desk_;
  clock_offset clock_;
  std::string control_;
  std::unique_ptr<data_plane> data_;
  std::unique_ptr<compute_pool> compute_;
  std::unique_ptr<control_plane> plane_;
  local_coordinator_actor coordinator_;
  local_worker_actor worker_;
  entry_actor entry_; ///< Of a node without the scheduler.
  std::mutex mutex_;
  std::string scheduler_; ///< Its HOST:PORT, once known. Guarded by mutex_.
  std::unique_ptr<membership> membership_;
  std::atomic<bool> ready_{false};
};

} // namespace

int run_daemon(const daemon_request& request) {
  node_daemon daemon{request};
  return daemon.run();
}

} // namespace skippipe::runtime::daemon
