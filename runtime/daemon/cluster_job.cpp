#include "runtime/daemon/cluster_job.hpp"

#include "actors/protocol/codec.hpp"
#include "runtime/config/toml_document.hpp"
#include "runtime/daemon/data_plane.hpp"
#include "runtime/daemon/trace_keeper.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/job_setup.hpp"
#include "runtime/train/run_folder.hpp"

#include <cstring>
#include <exception>
#include <future>
#include <mutex>
#include <utility>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;
namespace fs = std::filesystem;

/// To the nodes of the session, over the control plane.
class cluster_job::net final : public link {
public:
  net(session_no session, const std::vector<job_node>& nodes) : session_(session) {
    for (const auto& node : nodes)
      workers_.push_back(node.worker);
  }

  void send(node_id to, wire_message message, payload) override {
    const auto bytes = encode(scheduler_address, message);
    const auto* first = reinterpret_cast<const char*>(bytes.data());
    worker_actor worker;
    {
      const std::lock_guard guard{mutex_};
      worker = workers_.at(to);
    }
    if (worker)
      caf::anon_send(worker, session_message{session_, to, {first, first + bytes.size()}});
  }

  void forget(node_id node) {
    const std::lock_guard guard{mutex_};
    workers_.at(node) = nullptr;
  }

private:
  const session_no session_;
  std::mutex mutex_;
  std::vector<worker_actor> workers_; ///< By node number. Guarded by mutex_.
};

/// A planned session, not opened yet.
struct cluster_job::launch {
  job_config job;
  std::vector<job_node> nodes;
  std::shared_ptr<checkpointing> checkpoints;
  scheduler::instance problem;
  job_options options;
  run_summary summary;
  file_set restored;
};

cluster_job::cluster_job(job_host host, job_record record)
    : host_(std::move(host)), record_(std::move(record)), desk_(host_.background->make_strand()) {}

cluster_job::~cluster_job() = default;

/// Runs `work` on the desk and what it returns in the coordinator's turn. An exception ends the job.
void cluster_job::in_background(std::function<std::function<void()>()> work) {
  desk_->submit(work_kind::other, [self = shared_from_this(), work = std::move(work)]() mutable {
    std::function<void()> then;
    try {
      then = work();
    } catch (const std::exception& problem) {
      then = [self, why = std::string{problem.what()}] { self->end(job_state::failed, why); };
    }
    self->host_.in_turn([self, then = std::move(then)] {
      if (self->phase_ != phase::ended)
        then();
    });
  });
}

void cluster_job::change(job_state state) {
  record_.state = state;
  host_.changed(record_);
}

// -- preparing -------------------------------------------------------------------

void cluster_job::prepare(file_source submitter) {
  change(job_state::running);
  in_background([self = shared_from_this(), record = record_, host = host_,
                 submitter]() -> std::function<void()> {
    problem_list problems;
    auto document = toml_document::parse(record.text, record.file, problems);
    if (document)
      for (const auto& word : record.overrides)
        document->override_key(word, problems);
    auto job = document ? read_job(*document, problems) : std::nullopt;
    if (!job)
      throw std::runtime_error(problems.text());
    const auto root = host.dir / "data";
    if (!submitter && !fs::exists(root / record.data.id))
      throw std::runtime_error("its data is not here and whoever submitted it has gone; submit it "
                               "again");
    const auto folder = fetch_files(
        record.data, root, submitter ? fetch_from(*host.system, submitter) : part_fetcher{});
    host.shelf->put(record.data, folder);
    auto data = open_data(folder, *job);
    return [self, job = std::move(*job), data = std::move(data)] { self->prepared(job, data); };
  });
}

void cluster_job::prepared(job_config job, std::shared_ptr<const model::dataset> data) {
  job_ = std::move(job);
  data_ = std::move(data);
  phase_ = phase::waiting;
  if (stopping_)
    return end(job_state::stopped, "");
  host_.wants_nodes();
}

// -- starting ----------------------------------------------------------------------

void cluster_job::start(std::vector<job_node> nodes) {
  phase_ = phase::planning;
  in_background([self = shared_from_this(), nodes = std::move(nodes), job = job_,
                 record = record_]() mutable {
    return self->plan(std::move(nodes), std::move(job), std::move(record));
  });
}

std::function<void()> cluster_job::plan(std::vector<job_node> nodes, job_config job,
                                        job_record record) {
  auto made = std::make_shared<launch>();
  job.use_nodes(static_cast<std::uint32_t>(nodes.size()));
  if (job.pipeline.deterministic)
    job.kept_microbatches = record.microbatches;
  // A run that has left a checkpoint goes on from there, whatever the job started from.
  fs::path source = record.resume;
  if (!record.run_dir.empty()
      && !model::list_checkpoints(fs::path{record.run_dir} / "checkpoints").empty())
    source = record.run_dir;
  made->job = std::move(job);
  auto& checkpoints = made->checkpoints;
  const auto note = [emit = host_.emit, in_turn = host_.in_turn](const std::string& line) {
    in_turn([emit, line] { emit(events::note(line)); });
  };
  checkpoints = std::make_shared<checkpointing>(made->job, *data_, source, note);
  if (made->job.pipeline.deterministic && checkpoints->microbatches() != 0)
    made->job.kept_microbatches = checkpoints->microbatches();
  fs::path run_dir = checkpoints->run_dir();
  if (run_dir.empty() && !record.run_dir.empty())
    fs::create_directories(run_dir = record.run_dir);
  if (run_dir.empty())
    run_dir = create_run_folder(host_.dir / "runs" / record.id, record.id);
  run_dir = fs::absolute(run_dir);
  checkpoints->open(run_dir);
  if (!checkpoints->source().empty()) {
    made->restored = checkpoint_files(checkpoints->source());
    host_.shelf->put(made->restored, checkpoints->source());
  }

  made->problem = made->job.instance();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto& node = made->problem.nodes[i];
    node.name = nodes[i].name;
    node.location = nodes[i].location;
    node.memory = std::min(node.memory, nodes[i].memory);
  }
  const iteration_no last = record.last != 0 ? record.last : made->job.optimizer.total_iterations;
  made->options = make_job_options(made->job, made->problem, plan_job(made->problem, made->job),
                                   *checkpoints, last);
  made->options.term = host_.term;
  record_plan(run_dir, made->problem, made->options.plan);
  made->summary =
      summary_of(run_dir, made->job, made->options.plan, checkpoints->committed(), last);
  made->nodes = std::move(nodes);
  return [self = shared_from_this(), made] { self->open(*made); };
}

void cluster_job::open(launch& planned) {
  if (phase_ != phase::planning)
    return; // The job was stopped meanwhile.
  for (const auto& node : planned.nodes)
    if (!host_.is_member(node))
      return restart("node '" + node.name + "' has gone");
  launch_ = std::make_unique<launch>(std::move(planned));
  // The checkpoints refer to the job that they were made for.
  job_ = launch_->job;
  checkpoints_ = launch_->checkpoints;
  phase_ = phase::opening;
  session_ = static_cast<session_no>(real_clock{}.now_ns());
  nodes_ = launch_->nodes;
  gone_.clear();
  leaving_.clear();
  opening_.clear();
  record_.run_dir = launch_->summary.run_dir;
  record_.microbatches = launch_->summary.microbatches;
  record_.nodes.clear();
  std::vector<session_peer> peers;
  for (node_id i = 0; i < nodes_.size(); ++i) {
    peers.push_back({i, nodes_[i].life, nodes_[i].name, nodes_[i].location, nodes_[i].address});
    record_.nodes.push_back(nodes_[i].name);
  }
  host_.changed(record_);
  const auto& arrangement = launch_->options.plan.arrangement;
  for (stage_id stage = 0; stage < arrangement.size(); ++stage)
    for (const auto node : arrangement[stage]) {
      session_open order;
      order.session = session_;
      order.node = node;
      order.file = record_.file;
      order.job = record_.text;
      order.overrides = record_.overrides;
      order.microbatches = record_.microbatches;
      order.peers = peers;
      if (stage == 0)
        order.data = record_.data;
      order.checkpoint = launch_->restored;
      opening_.insert(node);
      caf::anon_send(nodes_[node].worker, std::move(order));
      host_.placed(nodes_[node].name, stage, "");
    }
}

void cluster_job::opened(const session_opened& report) {
  if (report.session != session_ || phase_ != phase::opening || opening_.erase(report.node) == 0)
    return;
  if (!report.error.empty())
    return end(job_state::failed, "node '" + nodes_[report.node].name + "': " + report.error);
  if (opening_.empty())
    spawn_scheduler();
}

void cluster_job::spawn_scheduler() {
  phase_ = phase::running;
  net_ = std::make_shared<net>(session_, nodes_);
  auto env = std::make_shared<environment>();
  env->node = scheduler_address;
  env->net = net_;
  env->compute = env->background = host_.background->make_strand();
  env->time = std::make_shared<real_clock>();
  env->ring = std::make_shared<trace::trace_ring>();
  tracer_options tracing;
  tracing.env = env;
  tracing.file.run_dir = record_.run_dir;
  tracing.segment = {"scheduler", scheduler_address, 1, session_, 0, 0};
  tracer_ = host_.system->spawn(tracer, std::move(tracing));
  std::vector<std::string> names;
  for (const auto& node : nodes_)
    names.push_back(node.name);
  traces_ = std::make_shared<trace_keeper>(record_.run_dir, session_, std::move(names));

  auto options = std::move(launch_->options);
  arrangement_ = options.plan.arrangement;
  options.observer = make_observer();
  host_.emit(events::started(launch_->summary));
  launch_.reset();
  scheduler_ = host_.system->spawn(job_scheduler, env, std::move(options));
  caf::anon_send(scheduler_, caf::ok_atom::value);
  if (stopping_)
    caf::anon_send(scheduler_, caf::close_atom::value);
}

job_observer cluster_job::make_observer() {
  // Called in the job's scheduler actor; whatever comes late, of an older session, is dropped.
  const auto in_turn = [self = shared_from_this(), session = session_](auto work) {
    self->host_.in_turn([self, session, work = std::move(work)] {
      if (self->session_ == session && self->phase_ == phase::running)
        work(*self);
    });
  };
  job_observer observer;
  observer.on_iteration = [in_turn](const iteration_report& report) {
    in_turn([report](cluster_job& job) {
      job.record_.iteration = report.iteration;
      job.progress_ = events::iteration(report);
      job.host_.emit(job.progress_);
    });
  };
  observer.on_evaluation = [in_turn](const evaluation_report& report) {
    in_turn([report](cluster_job& job) { job.host_.emit(events::evaluation(report)); });
  };
  observer.on_checkpoint = [in_turn](iteration_no iteration, const std::string& problem) {
    in_turn([iteration, problem](cluster_job& job) {
      job.host_.emit(events::checkpoint(iteration, problem));
      job.host_.changed(job.record_);
    });
  };
  observer.on_member_lost = [in_turn](node_id node, const std::string& reason) {
    in_turn([node, reason](cluster_job& job) {
      if (!job.gone_.contains(node)) { // Given up by the job, alive for the cluster.
        caf::anon_send(job.nodes_[node].worker, session_close{job.session_});
        job.forget(node, reason);
      }
      job.host_.emit(events::note("node '" + job.nodes_[node].name + "' is lost (" + reason
                                  + "); its stage goes on with the others"));
    });
  };
  observer.on_member_left = [in_turn](node_id node) {
    in_turn([node](cluster_job& job) {
      caf::anon_send(job.nodes_[node].worker, session_close{job.session_});
      job.host_.emit(events::note("node '" + job.nodes_[node].name + "' is drained"));
      job.forget(node, "drained");
      job.host_.drained(job.nodes_[node].name);
    });
  };
  observer.on_plan = [in_turn](const scheduler::plan& plan) {
    in_turn([plan](cluster_job& job) { job.arrangement_ = plan.arrangement; });
  };
  observer.on_stage_lost = [in_turn](stage_id stage, const std::string& reason) {
    in_turn([stage, reason](cluster_job& job) {
      job.restart("stage " + std::to_string(stage) + " has no node left (" + reason
                  + "): the job pauses until there are nodes for every stage");
    });
  };
  observer.on_done = [in_turn](iteration_no iterations) {
    in_turn([iterations](cluster_job& job) { job.finish(iterations); });
  };
  observer.on_failed = [in_turn](const std::string& reason) {
    in_turn([reason](cluster_job& job) { job.end(job_state::failed, reason); });
  };
  return observer;
}

// -- while it runs ------------------------------------------------------------------

std::optional<node_id> cluster_job::number_of(const std::string& node) const {
  if (session_ == 0)
    return std::nullopt;
  for (node_id i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].name == node && !gone_.contains(i))
      return i;
  return std::nullopt;
}

void cluster_job::deliver(const session_message& message, const caf::strong_actor_ptr& sender) {
  if (message.session != session_ || phase_ != phase::running || message.node >= nodes_.size()
      || gone_.contains(message.node))
    return;
  // R8: a node speaks for itself only.
  if (!sender || sender->address() != nodes_[message.node].worker.address())
    return;
  auto found = decode(std::as_bytes(std::span{message.bytes}));
  if (found && found->from == message.node)
    caf::anon_send(scheduler_, inbound{message.node, std::move(found->message), {}});
}

void cluster_job::receive(const snapshot_part& part, std::function<void(std::string)> taken) {
  if (part.session != session_ || phase_ != phase::running)
    return taken("the session is over");
  desk_->submit(work_kind::other, [checkpoints = checkpoints_, part, taken = std::move(taken)] {
    std::string problem;
    try {
      checkpoints->receive(part.iteration, part.name, part.offset, part.total,
                           std::as_bytes(std::span{part.bytes}));
    } catch (const std::exception& why) {
      problem = why.what();
    }
    taken(problem);
  });
}

void cluster_job::keep(const trace_batch& batch) {
  if (traces_ && batch.session == session_)
    desk_->submit(work_kind::other, [traces = traces_, batch] { traces->keep(batch); });
}

void cluster_job::lost(const std::string& node, const std::string& reason) {
  const auto number = number_of(node);
  if (!number)
    return;
  forget(*number, reason);
  if (phase_ == phase::closing) {
    closing_.erase(*number);
    try_closed();
  } else if (phase_ == phase::running) {
    caf::anon_send(scheduler_, member_lost{*number, reason});
  } else if (phase_ != phase::finishing) {
    restart("node '" + node + "' is lost: " + reason);
  }
}

/// The others need not try to reach it any more.
void cluster_job::forget(node_id node, const std::string& reason) {
  gone_.insert(node);
  host_.placed(nodes_[node].name, std::nullopt, reason);
  if (net_)
    net_->forget(node);
  for (node_id other = 0; other < nodes_.size(); ++other)
    if (!gone_.contains(other))
      caf::anon_send(nodes_[other].worker, session_peer_gone{session_, node});
}

bool cluster_job::drain(const std::string& node) {
  const auto number = number_of(node);
  if (!number || phase_ != phase::running)
    return false;
  leaving_.insert(*number);
  // Its stage must keep somebody who stays.
  for (const auto& stage : arrangement_)
    if (std::find(stage.begin(), stage.end(), *number) != stage.end()
        && std::all_of(stage.begin(), stage.end(), [&](node_id other) {
             return gone_.contains(other) || leaving_.contains(other);
           })) {
      leaving_.erase(*number);
      return false;
    }
  caf::anon_send(scheduler_, member_leaves{*number});
  return true;
}

void cluster_job::stop() {
  stopping_ = true;
  if (phase_ == phase::waiting || phase_ == phase::planning)
    end(job_state::stopped, "");
  else if (phase_ == phase::running)
    caf::anon_send(scheduler_, caf::close_atom::value);
}

bool cluster_job::suspend() {
  if (phase_ != phase::running)
    return false;
  suspending_ = true;
  caf::anon_send(scheduler_, caf::close_atom::value);
  return true;
}

nlohmann::json cluster_job::status() const {
  static constexpr const char* names[] = {"preparing", "waiting", "planning", "starting",
                                          "running",   "ending",  "closing",  "ended"};
  nlohmann::json result{{"phase", names[static_cast<int>(phase_)]}};
  if (!progress_.is_null())
    result["progress"] = progress_;
  return result;
}

// -- the end ---------------------------------------------------------------------------

/// Ends the session, waits for the last of the nodes' traces, then goes on with `then`.
void cluster_job::close_session(std::function<void()> then) {
  phase_ = phase::closing;
  after_close_ = std::move(then);
  closing_.clear();
  if (session_ != 0)
    for (node_id i = 0; i < nodes_.size(); ++i)
      if (!gone_.contains(i)) {
        closing_.insert(i);
        caf::anon_send(nodes_[i].worker, session_close{session_});
      }
  if (scheduler_)
    caf::anon_send_exit(scheduler_, caf::exit_reason::user_shutdown);
  scheduler_ = nullptr;
  net_ = nullptr;
  launch_.reset();
  // Who does not answer keeps nobody waiting for long.
  host_.later(10, [self = shared_from_this(), session = session_] {
    if (self->session_ == session) {
      self->closing_.clear();
      self->try_closed();
    }
  });
  try_closed();
}

void cluster_job::closed(const session_closed& report) {
  if (report.session == session_ && closing_.erase(report.node) > 0)
    try_closed();
}

void cluster_job::try_closed() {
  if (phase_ != phase::closing || !closing_.empty() || !after_close_)
    return;
  in_background([self = shared_from_this(), session = session_,
                 tracing = std::exchange(tracer_, {}), traces = std::exchange(traces_, nullptr),
                 then = std::exchange(after_close_, nullptr)]() mutable -> std::function<void()> {
    if (tracing) {
      auto passed = std::make_shared<std::promise<void>>();
      caf::anon_send(tracing, passed);
      passed->get_future().wait();
    }
    traces.reset(); // Closes the files.
    return [self, session, then = std::move(then)] {
      for (node_id i = 0; session != 0 && i < self->nodes_.size(); ++i)
        if (!self->gone_.contains(i))
          self->host_.placed(self->nodes_[i].name, std::nullopt, "");
      self->session_ = 0;
      then();
    };
  });
}

void cluster_job::restart(const std::string& reason) {
  if (phase_ == phase::closing)
    return;
  close_session([self = shared_from_this(), reason] {
    self->phase_ = phase::waiting;
    self->host_.emit(events::note(reason + "; going on from the newest checkpoint"));
    if (self->stopping_)
      return self->end(job_state::stopped, "");
    self->host_.wants_nodes();
  });
}

void cluster_job::finish(iteration_no iterations) {
  const auto newest = checkpoints_->newest();
  if (suspending_) {
    host_.emit(events::note("the scheduler ends; the job goes on when it is back"));
    return close_session([self = shared_from_this()] {
      self->phase_ = phase::ended;
      self->host_.changed(self->record_);
      self->host_.ended();
    });
  }
  phase_ = phase::finishing;
  record_.iteration = iterations;
  in_background([self = shared_from_this(), newest, job = job_, data = data_,
                 wanted = job_.sample_tokens > 0 && !stopping_ && !newest.empty()] {
    const auto text = wanted ? sample_text(job, *data, newest) : std::string{};
    return [self, newest, text, wanted] {
      if (wanted)
        self->host_.emit(events::sample(sample_prompt, text));
      self->end(self->stopping_ ? job_state::stopped : job_state::done, newest.string());
    };
  });
}

void cluster_job::end(job_state state, const std::string& outcome) {
  if (phase_ == phase::closing || phase_ == phase::ended)
    return;
  close_session([self = shared_from_this(), state, outcome] {
    self->phase_ = phase::ended;
    self->host_.emit(state == job_state::failed ? events::failed(outcome)
                                                : events::done(self->record_.iteration, outcome,
                                                               state == job_state::stopped));
    self->record_.outcome = outcome;
    self->change(state);
    self->host_.ended();
  });
}

void cluster_job::abandon() {
  phase_ = phase::ended;
  if (scheduler_)
    caf::anon_send_exit(scheduler_, caf::exit_reason::user_shutdown);
  if (tracer_)
    caf::anon_send(tracer_, std::make_shared<std::promise<void>>());
  for (node_id i = 0; session_ != 0 && i < nodes_.size(); ++i)
    if (!gone_.contains(i))
      caf::anon_send(nodes_[i].worker, session_close{session_});
  scheduler_ = nullptr;
  tracer_ = nullptr;
  net_ = nullptr;
  launch_.reset();
}

} // namespace skippipe::runtime::daemon
