#include "runtime/daemon/node_daemon.hpp"

#include "runtime/check/node_check.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/daemon/advertised.hpp"
#include "runtime/daemon/coordinator.hpp"
#include "runtime/daemon/daemon_log.hpp"
#include "runtime/daemon/daemon_signals.hpp"
#include "runtime/daemon/introduction.hpp"
#include "runtime/daemon/key_watch.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/daemon/membership.hpp"
#include "runtime/daemon/offer_metrics.hpp"
#include "runtime/daemon/relaying.hpp"
#include "runtime/daemon/reloading.hpp"
#include "runtime/daemon/state_folder.hpp"
#include "runtime/daemon/token_door.hpp"
#include "runtime/daemon/yielding_compute.hpp"
#include "runtime/gate/open_files.hpp"

#include <systemd/sd-daemon.h>

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

class node_daemon {
public:
  explicit node_daemon(const daemon_request& request)
      : request_(request), log_(make_log(request.config)),
        config_(with_watched_keys(request.config)), folder_(config_.state_dir()),
        background_(std::make_unique<compute_pool>(3)), desk_(background_->make_strand()),
        copying_(background_->make_strand()) {
    set_level(log_, config_);
  }

  /// Once, before `run`. Throws std::runtime_error with one line.
  void start() {
    gate::raise_open_files();
    control_options control;
    control.listen = config_.listen;
    control.listens = config_.listens;
    control.ports = config_.ports;
    control.detect_within_s = config_.detect_within_s;
    control.log = note();
    if (const auto files = credential_files_of(config_)) {
      control.tls = true;
      control.files = *files;
    }
    plane_ = std::make_unique<control_plane>(control);
    asker_ = std::make_unique<part_asker>(plane_->system());
    relay_ = offer_relay(config_, note());
    if (config_.runs_scheduler)
      start_scheduler();
    else
      start_entry();
    metrics_ = offer_metrics(config_, plane_->system(), coordinator_, upload_, ready_);
    if (!config_.dedicated)
      start_worker();
    else
      ready();
  }

  ~node_daemon() {
    if (!plane_)
      return;
    if (asker_)
      asker_->stop();
    metrics_.reset();
    membership_.reset();
    caf::scoped_actor self{plane_->system()};
    const auto end = [&self](const auto& actor) {
      self->send_exit(actor, caf::exit_reason::user_shutdown);
      self->wait_for(actor);
    };
    if (worker_) {
      self->send(worker_, new_coordinator{});
      end(worker_);
      // The last session may still be closing.
      std::promise<void> passed;
      desk_->submit(work_kind::other, [&] { passed.set_value(); });
      passed.get_future().wait();
    }
    if (coordinator_)
      end(coordinator_);
    if (entry_)
      end(entry_);
    forget_cluster(control_);
    worker_ = nullptr;
    coordinator_ = nullptr;
    entry_ = nullptr;
    // A thread that has used the actor system keeps its logger, for which the system waits.
    desk_.reset();
    copying_.reset();
    compute_.reset();
    background_.reset();
  }

  int run() {
    std::uint64_t watchdog_us = 0;
    const bool watched = ::sd_watchdog_enabled(0, &watchdog_us) > 0;
    auto tick =
        watched ? std::chrono::milliseconds{watchdog_us / 3000} : std::chrono::milliseconds{60'000};
    if (keys_)
      tick = std::min(tick, std::chrono::milliseconds{2000});
    bool draining = false;
    while (true) {
      const auto event = signals_.wait(tick);
      if (watched && answers())
        ::sd_notify(0, "WATCHDOG=1");
      if (keys_)
        spread(keys_->look());
      if (!event)
        continue;
      using kind = daemon_signals::kind;
      switch (event->what) {
        case kind::reload:
          reload(request_, log_, upload_);
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
          membership_.reset(); // It would add that the scheduler, which ends too, is out of reach.
          log_->info("stopped");
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

  /// TLS reads the list of revoked certificates that the watch keeps.
  node_config with_watched_keys(node_config config) {
    if (config.tls) {
      keys_ = std::make_unique<key_watch>(config, note());
      config.revoked = keys_->revoked_file();
    }
    return config;
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
    options.profile = config_.profile;
    options.wire_dtype = config_.wire_dtype;
    options.sealed = config_.sealed;
    options.background = background_.get();
    options.upload = &upload_;
    options.asker = asker_.get();
    if (!config_.emulation.links.empty())
      options.links = std::make_shared<link_table>(config_.emulation.links);
    options.log = note();
    use_tokens(options, options.journal);
    options.revoke = [this](const std::string& pem) { return keys_ && keys_->take(pem); };
    options.revoked = [this] { return keys_ ? keys_->revoked() : std::string{}; };
    options.certificate_name = [this](const caf::node_id& node) { return plane_->name_of(node); };
    options.on_closed = [this] { signals_.tell({daemon_signals::kind::interrupt, ""}); };
    options.control = [this] { return control_; };
    options.relay = relay_.where;
    coordinator_ = plane_->system().spawn(coordinator, std::move(options));
    const auto port = plane_->publish(coordinator_actor{coordinator_});
    control_ = advertised_control(config_, port);
    remember();
  }

  /// The operator has brought a list of revoked certificates: whoever schedules tells the others.
  void spread(bool newer) {
    if (newer && coordinator_)
      caf::anon_send(coordinator_, caf::update_atom::value);
    else if (newer && worker_)
      caf::anon_send(worker_, caf::update_atom::value);
  }

  /// Where we are reached, once the scheduler says where our relay is.
  std::string find_relay(const coordinator_actor& scheduler, join_request& me) {
    auto found = ask_for_relay(*plane_, scheduler, config_.relay);
    if (found.error.empty())
      found.error = data_->reach_through(found.text);
    if (found.error.empty())
      introduce_data(me);
    return found.error;
  }

  void introduce_data(join_request& me) const {
    me.data = data_->where();
    const auto& where = data_->address();
    const auto* first = reinterpret_cast<const char*>(where.data());
    me.data_address.assign(first, first + where.size());
  }

  /// Whoever comes to this node is told where its scheduler is.
  void start_entry() {
    if (!config_.listens)
      return;
    entry_ = plane_->system().spawn([this](entry_actor::pointer) -> entry_actor::behavior_type {
      return {[this](const seed_request&) {
        const std::lock_guard guard{mutex_};
        return scheduler_.empty() ? answer{"", "this node has not found its scheduler yet"}
                                  : answer{scheduler_, ""};
      }};
    });
    control_ = advertised_control(config_, plane_->publish(entry_));
    remember();
  }

  void start_worker() {
    const auto life = make_life(config_.name);
    data_ = std::make_unique<data_plane>(config_, life, upload_, note());
    compute_ = std::make_unique<compute_pool>(config_.threads, yield_to_heartbeats);
    worker_options options;
    options.host.config = &config_;
    options.host.system = &plane_->system();
    options.host.data = data_.get();
    options.host.compute = compute_.get();
    options.host.background = background_.get();
    options.host.upload = &upload_;
    options.host.asker = asker_.get();
    options.host.scheduler_clock = &clock_;
    options.host.dir = folder_.path();
    options.desk = desk_;
    options.copying = copying_;
    options.log = note();
    options.on_dismissed = [this](const std::string& reason) {
      signals_.tell({daemon_signals::kind::dismissed, reason});
    };
    options.revoke = [this](const std::string& pem) {
      try {
        if (keys_)
          keys_->take(pem);
      } catch (const std::exception& problem) {
        log_->warn("revocation list refused: {}", problem.what());
      }
    };
    options.revoked = [this] { return keys_ ? keys_->revoked() : std::string{}; };
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
    me = introduction_of(config_);
    me.life = life;
    me.control = control_;
    me.metrics = metrics_ ? metrics_->where() : "";
    me.relay = relay_.where;
    if (config_.relay.empty())
      introduce_data(me);
    else
      join.prepare = [this](const coordinator_actor& scheduler, join_request& request) {
        return find_relay(scheduler, request);
      };
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
                              {"metrics", metrics_ ? metrics_->where() : ""}};
    std::cout << "READY " << what.dump() << std::endl;
    ::sd_notify(0, "READY=1");
    log_->info("ready");
  }

  /// True while someone has to tell us that we may go.
  bool drain() {
    if (coordinator_) {
      log_->info("stopping; the running job goes on when this daemon is back (again: at once)");
      caf::anon_send(coordinator_, caf::close_atom::value);
      return true;
    }
    const auto problem = membership_->leave();
    if (problem.empty())
      log_->info("draining (again: at once)");
    else if (!ready_)
      log_->info("stopped before it was in the cluster");
    else
      log_->warn("leaving without having been drained: {}", problem);
    return problem.empty();
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
  daemon_signals signals_; ///< Before any thread.
  logger log_;
  std::unique_ptr<key_watch> keys_; ///< With tls.
  const node_config config_;
  upload_limits upload_{config_};
  state_folder folder_;
  /// A session that closes waits for its own last files, and a copy may take long: three workers.
  std::unique_ptr<compute_pool> background_;
  std::shared_ptr<executor> desk_, copying_;
  clock_offset clock_;
  std::string control_;
  own_relay relay_;
  std::unique_ptr<data_plane> data_;
  std::unique_ptr<compute_pool> compute_;
  std::unique_ptr<control_plane> plane_;
  std::unique_ptr<part_asker> asker_;
  local_coordinator_actor coordinator_;
  local_worker_actor worker_;
  entry_actor entry_; ///< Of a node without the scheduler.
  std::mutex mutex_;
  std::string scheduler_; ///< Its HOST:PORT, once known. Guarded by mutex_.
  std::unique_ptr<membership> membership_;
  std::unique_ptr<metrics_server> metrics_;
  std::atomic<bool> ready_{false};
};

} // namespace

int run_daemon(const daemon_request& request) {
  node_daemon daemon{request};
  daemon
      .start(); // Where it throws, what has been started is ended as ever: actors would be waited for.
  return daemon.run();
}

} // namespace skippipe::runtime::daemon
