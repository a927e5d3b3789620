// Of a job on a cluster: from its nodes to the first iteration.
#include "runtime/daemon/cluster_job_parts.hpp"

#include "runtime/daemon/data_plane.hpp"
#include "runtime/daemon/trace_keeper.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/run_folder.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/planner.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <future>
#include <limits>
#include <random>
#include <utility>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;
namespace fs = std::filesystem;

namespace {

/// What is known of nodes and links goes into the planning problem; the planner may then choose who
/// serves which stage. True when every node emulates: then these costs are what counts.
bool describe(scheduler::instance& problem, const std::vector<job_node>& nodes,
              const link_table* links, double& time_scale) {
  const auto n = nodes.size();
  const auto& first = nodes.front().emulation;
  const bool emulated = std::all_of(nodes.begin(), nodes.end(), [&](const job_node& node) {
    return node.emulation.compute_s > 0 && node.emulation.time_scale == first.time_scale
           && node.emulation.payload_bytes == first.payload_bytes;
  });
  if (!emulated)
    return false;
  time_scale = first.time_scale;
  for (std::size_t i = 0; i < n; ++i)
    problem.nodes[i].compute_s = nodes[i].emulation.compute_s;
  const bool placed = links != nullptr
                      && std::all_of(nodes.begin(), nodes.end(),
                                     [&](const auto& x) { return links->knows(x.location); });
  if (!placed)
    return true;
  problem.arrangement.clear();
  problem.latency_s.resize(n * n);
  problem.bandwidth_Bps.resize(n * n);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b) {
      const auto speed = links->between(nodes[a].location, nodes[b].location);
      problem.latency_s[a * n + b] = speed.latency_s;
      problem.bandwidth_Bps[a * n + b] = speed.bandwidth_Bps;
      problem.link_s[a * n + b] =
          a == b ? 0
                 : speed.latency_s + static_cast<double>(first.payload_bytes) / speed.bandwidth_Bps;
    }
  problem.sync_bytes.assign(problem.stages, static_cast<double>(first.sync_bytes));
  return true;
}

/// Whether it makes a difference worth speaking of which node serves which stage.
bool links_matter(const scheduler::instance& problem) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (node_id a = 0; a < problem.nodes.size(); ++a)
    for (node_id b = 0; b < problem.nodes.size(); ++b)
      if (a != b) {
        least = std::min(least, problem.link(a, b));
        most = std::max(most, problem.link(a, b));
      }
  return most > 2 * least && most - least > std::max(0.005, 0.1 * problem.nodes.front().compute_s);
}

std::string goes_on(iteration_no committed, std::size_t nodes) {
  return (committed == 0 ? "the job begins anew"
                         : "the job goes on after iteration " + std::to_string(committed))
         + " with " + std::to_string(nodes) + " nodes";
}

} // namespace

std::function<void()> cluster_job::plan(std::vector<job_node> nodes, job_config job,
                                        job_record record, const std::vector<copy_source>& copies,
                                        scheduler::cost_tracker known,
                                        std::shared_ptr<run_folder_lock> lock) {
  const auto note = [emit = host_.emit, in_turn = host_.in_turn](const std::string& line) {
    in_turn([emit, line] { emit(events::note(line)); });
  };
  const auto own = [&](const fs::path& run_dir) {
    create_run_folder(run_dir, record.id);
    if (!lock)
      lock = std::make_shared<run_folder_lock>(run_dir);
  };
  if (!record.run_dir.empty())
    own(record.run_dir);
  if (record.nodes.empty() && record.resume.empty())
    refuse_used_folder(record.run_dir); // Another run may have begun there since it was submitted.
  const fs::path origin = record.run_dir.empty() ? record.resume : record.run_dir;
  if (auto absent = recover_checkpoint(origin, copies, note); !absent.empty())
    return [self = shared_from_this(), absent] { self->await_copies(absent); };
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
  checkpoints = std::make_shared<checkpointing>(made->job, *data_, source, note);
  if (made->job.pipeline.deterministic && checkpoints->microbatches() != 0)
    made->job.kept_microbatches = checkpoints->microbatches();
  fs::path run_dir = checkpoints->run_dir();
  if (run_dir.empty())
    run_dir = record.run_dir.empty() ? host_.dir / "runs" / record.id : fs::path{record.run_dir};
  run_dir = fs::absolute(run_dir);
  own(run_dir);
  made->folder_lock = lock;
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
  const bool emulated = describe(made->problem, nodes, host_.links.get(), made->time_scale);
  bool in_seconds = emulated; // Else nodes count in forwards.
  // What plans are made for: what is measured goes into it each time anew.
  const auto nominal = made->problem;
  const auto work = workload_of(made->job, host_.wire_dtype == "bfloat16" ? 2 : 4);
  const bool follows = host_.profile.enabled && !is_emulated(nodes);
  if (follows && known.knows_links()) {
    for (auto& node : made->problem.nodes)
      node.compute_s = guessed_forward_s(made->job);
    made->problem = known.applied_to(made->problem, work);
    in_seconds = true;
    if (links_matter(made->problem))
      made->problem.arrangement.clear(); // The planner chooses who serves which stage.
  }
  const iteration_no last = record.last != 0 ? record.last : made->job.optimizer.total_iterations;
  const double seconds =
      in_seconds ? scheduler::worthwhile_seconds(made->problem, made->time_scale) : 1;
  if (seconds > 2)
    note("planning for up to " + std::to_string(std::lround(seconds)) + " s");
  const double time_scale = in_seconds ? made->time_scale : 1 / guessed_forward_s(made->job);
  made->options = make_job_options(made->job, made->problem,
                                   plan_job(made->problem, made->job, seconds, planning_threads()),
                                   time_scale, *checkpoints, last);
  if (follows) {
    const auto& profile = host_.profile;
    follow_costs(made->options, made->job, nominal, work,
                 {profile.replan_gain, profile.replan_confirm, profile.replan_pause});
    made->options.costs.known = std::move(known);
    made->measured = made->options.costs.problem;
  }
  if (emulated)
    made->options.times = [problem = made->problem, scale = made->time_scale](
                              const scheduler::plan& plan, const scheduler::cost_tracker&) {
      return times_of(problem, plan, scale);
    };
  made->options.term = host_.term;
  made->options.patience_ns = static_cast<std::int64_t>(1e9 * host_.patience_s);
  record_plan(run_dir, made->problem, made->options.plan, time_scale);
  keep_problem(run_dir, made->problem);
  made->summary =
      summary_of(run_dir, made->job, made->options.plan, checkpoints->committed(), last);
  made->summary.makespan_s = made->options.plan.makespan_s;
  made->summary.planned_s = scheduler::predicted_seconds(made->problem, made->options.plan);
  made->summary.relay_share = scheduler::figures_of(made->problem, made->options.plan).relay_share;
  made->summary.time_scale = made->time_scale;
  made->nodes = std::move(nodes);
  return [self = shared_from_this(), made] { self->open(*made); };
}

/// What is known of copies, with those to ask for them.
std::vector<copy_source> cluster_job::find_copies() const {
  std::vector<copy_source> found;
  for (const auto& copy : record_.copies) {
    const auto worker = host_.worker_of(copy.node);
    found.push_back(
        {copy, worker ? host_.asker->from(caf::actor_cast<file_source>(worker)) : part_fetcher{}});
  }
  return found;
}

/// The next node that joins may be one of them.
void cluster_job::await_copies(const std::vector<std::string>& nodes) {
  if (phase_ != phase::planning)
    return; // The job was stopped meanwhile.
  phase_ = phase::waiting;
  std::string names;
  for (const auto& node : nodes)
    names += (names.empty() ? "'" : "' or '") + node;
  host_.emit(events::note("no checkpoint is left here: waiting for node " + names
                          + "', which holds a copy"));
}

void cluster_job::want_copy(const fs::path& checkpoint, iteration_no iteration) {
  if (job_.checkpoint_copy && !checkpoint.empty())
    host_.published(
        {record_.id, checkpoint, iteration, job_.checkpoint_keep, job_.checkpoint_holder});
}

void cluster_job::open(launch& planned) {
  if (phase_ != phase::planning)
    return; // The job was stopped meanwhile.
  for (const auto& node : planned.nodes)
    if (!host_.is_member(node))
      return restart("node '" + node.name + "' has gone");
  launch_ = std::make_unique<launch>(std::move(planned));
  folder_lock_ = launch_->folder_lock;
  // The checkpoints refer to the job that they were made for.
  job_ = launch_->job;
  checkpoints_ = launch_->checkpoints;
  phase_ = phase::opening;
  session_ = static_cast<session_no>(real_clock{}.now_ns());
  nodes_ = launch_->nodes;
  time_scale_ = launch_->time_scale;
  gone_.clear();
  leaving_.clear();
  opening_.clear();
  if (!record_.nodes.empty()) // It has run before, and paused.
    host_.emit(events::note(goes_on(checkpoints_->committed(), nodes_.size())));
  record_.run_dir = launch_->summary.run_dir;
  record_.microbatches = launch_->summary.microbatches;
  record_.nodes.clear();
  std::vector<session_peer> peers;
  for (node_id i = 0; i < nodes_.size(); ++i) {
    peers.push_back({i, nodes_[i].life, nodes_[i].name, nodes_[i].location, nodes_[i].address});
    record_.nodes.push_back(nodes_[i].name);
  }
  host_.changed(record_);
  want_copy(checkpoints_->source(), checkpoints_->committed()); // Of an earlier life, perhaps none.
  wire_bytes secret(host_.sealed ? 32 : 0, 0);
  std::random_device random;
  for (auto& byte : secret)
    byte = static_cast<char>(random());
  arrangement_ = launch_->options.plan.arrangement;
  costs_ = launch_->options.costs.known;
  measured_ = launch_->measured;
  instance_kept_ = false;
  for (stage_id stage = 0; stage < arrangement_.size(); ++stage)
    for (const auto node : arrangement_[stage]) {
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
      order.secret = secret;
      order.wire_dtype = host_.wire_dtype;
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
  env->background = host_.background->make_strand();
  env->compute = host_.background->make_strand(); // Plans, beside what commits wait for.
  env->time = std::make_shared<real_clock>();
  env->ring = std::make_shared<trace::trace_ring>();
  std::vector<std::string> names;
  for (const auto& node : nodes_)
    names.push_back(node.name);
  traces_ = std::make_shared<trace_keeper>(record_.run_dir, record_.id, session_, std::move(names),
                                           host_.feed);
  tracer_options tracing;
  tracing.env = env;
  tracing.forward = [traces = traces_, session = session_](const auto& events, auto overwritten) {
    trace_batch batch{session, scheduler_address, overwritten, 0, 0, {}};
    batch.events.resize(events.size() * sizeof(trace::event));
    std::memcpy(batch.events.data(), events.data(), batch.events.size());
    traces->keep(batch);
  };
  tracer_ = host_.system->spawn(tracer, std::move(tracing));

  auto options = std::move(launch_->options);
  options.observer = make_observer();
  host_.emit(events::started(launch_->summary));
  launch_.reset();
  scheduler_ = host_.system->spawn(job_scheduler, env, std::move(options));
  caf::anon_send(scheduler_, caf::ok_atom::value);
  for (const auto node : leaving_)
    caf::anon_send(scheduler_, member_leaves{node});
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
      auto shown = report;
      shown.iteration_s *= job.time_scale_;
      job.progress_ = events::iteration(shown);
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
      if (problem.empty())
        job.want_copy(job.checkpoints_->newest(), iteration);
    });
  };
  observer.on_member_lost = [in_turn](node_id node, const std::string& reason) {
    in_turn([node, reason](cluster_job& job) {
      if (!job.gone_.contains(node)) { // Given up by the job, alive for the cluster.
        caf::anon_send(job.nodes_[node].worker, session_close{job.session_});
        job.forget(node, reason);
      }
      job.host_.emit(events::note("node '" + job.nodes_[node].name + "' is lost (" + reason
                                  + ") in iteration " + std::to_string(job.record_.iteration + 1)));
    });
  };
  observer.on_member_left = [in_turn](node_id node) {
    in_turn([node](cluster_job& job) {
      caf::anon_send(job.nodes_[node].worker, session_close{job.session_});
      job.host_.emit(events::note("node '" + job.nodes_[node].name + "' is drained"));
      job.forget(node, "drained");
    });
  };
  observer.on_plan = [in_turn](const scheduler::plan& plan, double saves) {
    in_turn([plan, saves](cluster_job& job) {
      job.arrangement_ = plan.arrangement;
      job.keep_plan(plan, saves);
    });
  };
  observer.on_costs = [in_turn](const scheduler::cost_tracker& costs) {
    in_turn([costs](cluster_job& job) { job.note_costs(costs); });
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

} // namespace skippipe::runtime::daemon
