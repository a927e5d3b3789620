#include "actors/simulation/sim_cluster.hpp"

#include "actors/node.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <stdexcept>
#include <utility>

namespace skippipe::actors::simulation {
namespace {

/// Rings are drained at every step of the virtual time, so that a thousand clusters cost little memory.
constexpr std::size_t ring_capacity = 512;

} // namespace

struct sim_cluster::config : caf::actor_system_config {
  config() { set("scheduler.policy", caf::atom("testing")); }
};

sim_cluster::sim_cluster(sim_options options)
    : options_(std::move(options)), config_(std::make_unique<config>()) {}

sim_cluster::~sim_cluster() = default;

sim_result sim_cluster::run() {
  sim_result result;
  caf::actor_system system{*config_};
  auto& jobs = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  auto time = std::make_shared<world>();
  random_source random{options_.seed};
  auto network = std::make_shared<sim_network>(time, options_.faults, random.next());
  const auto nodes = options_.job.plan.order.size();
  std::vector<hash_shard*> shards(nodes, nullptr);
  std::vector<std::shared_ptr<mail_router>> routers;
  std::vector<node_actor> handles;
  std::vector<std::shared_ptr<environment>> environments;
  std::vector<std::shared_ptr<sim_executor>> executors; ///< Two per node.

  auto make_environment = [&](node_id node, link_receiver receiver) {
    auto env = std::make_shared<environment>();
    env->node = node;
    env->net = network->attach(node, std::move(receiver));
    for (auto* executor : {&env->compute, &env->background}) {
      executors.push_back(std::make_shared<sim_executor>(time, options_.costs,
                                                         options_.compute_jitter, random.next()));
      *executor = executors.back();
    }
    env->time = time;
    env->ring = std::make_shared<trace::trace_ring>(ring_capacity);
    environments.push_back(env);
    return env;
  };
  for (node_id node = 0; node < nodes; ++node) {
    routers.push_back(std::make_shared<mail_router>());
    node_options node_opts;
    node_opts.env = make_environment(node, routers.back()->receiver());
    node_opts.router = routers.back();
    node_opts.warm_up.microbatches = 2;
    node_opts.reduction_bucket = 5; // Uneven pieces, many chunks.
    node_opts.make_shard = [this, &shards, &result](node_id id, const assign& order) {
      auto shard = std::make_unique<hash_shard>(options_.seed, order.stage);
      shard->on_snapshot = [&result](iteration_no iteration, std::uint64_t) {
        result.checkpoints.push_back(iteration);
      };
      if (on_shard)
        on_shard(id, *shard);
      shards[id] = shard.get();
      shard->on_end = [&shards, id] { shards[id] = nullptr; };
      return shard;
    };
    handles.push_back(system.spawn(actors::node, std::move(node_opts)));
    routers.back()->set_node(handles.back());
  }

  auto job = options_.job;
  job.observer.on_iteration = [&](const iteration_report& x) { result.iterations.push_back(x); };
  job.observer.on_evaluation = [&](const evaluation_report& x) { result.evaluations.push_back(x); };
  job.observer.on_done = [&](iteration_no) { result.finished = true; };
  job.observer.on_stage_lost = [&](stage_id, const std::string& why) { result.stage_lost = why; };
  job.observer.on_member_lost = [&](node_id node, const std::string&) {
    result.lost.push_back(node);
  };
  job.observer.on_member_left = [&](node_id node) {
    result.left.push_back(node);
    shards[node] = nullptr; // Told to stop, it frees its shard.
  };
  job.observer.on_plan = [&](const scheduler::plan& x, double) {
    result.plans.push_back(x.version);
    result.taken.push_back(x);
  };
  job.observer.on_checkpoint = [&](iteration_no t, const std::string& problem) {
    result.checkpoint_reports.emplace_back(t, problem);
  };
  job.observer.on_failed = [&](const std::string& why) { result.failure = why; };
  auto inbox = std::make_shared<scheduler_actor>();
  auto env = make_environment(
      scheduler_address,
      {[inbox](inbound message) { caf::anon_send(*inbox, std::move(message)); }, {}});
  *inbox = system.spawn(job_scheduler, env, std::move(job));
  caf::anon_send(*inbox, caf::ok_atom::value);
  lose_ = [&, time, inbox](const sim_loss& loss) {
    const auto until = time->now_ns() + loss.wakes_ns;
    if (loss.wakes_ns > 0)
      network->freeze(loss.node, until);
    else
      network->kill(loss.node, loss.late);
    for (auto i : {2 * loss.node, 2 * loss.node + 1})
      loss.wakes_ns > 0 ? executors[i]->pause(until) : executors[i]->pause();
    const auto notice = [inbox, loss] {
      caf::anon_send(*inbox, member_lost{loss.node, "simulated"});
    };
    if (loss.noticed_ns == 0)
      notice(); // Before whatever comes next.
    else
      time->after(loss.noticed_ns, notice);
  };
  for (const auto& loss : options_.losses)
    time->after(loss.at_ns, [this, loss] { lose(loss); });
  for (const auto& [when, node] : options_.drains)
    time->after(when, [inbox, node = node] { caf::anon_send(*inbox, member_leaves{node}); });

  for (const auto& slow : options_.slowdowns)
    time->after(slow.at_ns,
                [machine = executors[2 * slow.node], slow] { machine->slow_down(slow.factor); });

  // What the shards hold is read before the stop message frees them.
  bool read = false;
  auto read_shards = [&] {
    if (std::exchange(read, true))
      return;
    for (auto* shard : shards) {
      result.hashes.push_back(shard == nullptr ? 0 : shard->hash());
      result.peak_in_flight.push_back(shard == nullptr ? 0 : shard->peak_in_flight());
      result.left_in_flight.push_back(shard == nullptr ? 0 : shard->in_flight());
    }
  };
  // CAF's own clock, of delayed messages, keeps step with ours; alone it goes on when nothing else does.
  const auto step = [&] {
    const auto before = time->now_ns();
    if (!time->step())
      return jobs.trigger_timeout();
    jobs.clock().advance_time(std::chrono::nanoseconds{time->now_ns() - before});
    return true;
  };
  do {
    while (jobs.try_run_once()) {
    }
    if (result.finished || !result.failure.empty() || !result.stage_lost.empty())
      read_shards();
    for (auto& environment : environments)
      environment->ring->drain(result.events);
  } while (step());
  read_shards();
  lose_ = {};

  for (auto& environment : environments)
    if (environment->ring->overwritten() > 0)
      throw std::logic_error("a ring of the simulation overflowed: raise ring_capacity");
  result.messages = network->messages();
  result.undecodable = network->undecodable();
  result.virtual_ns = time->now_ns();
  for (auto& handle : handles)
    caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(*inbox, caf::exit_reason::user_shutdown);
  *inbox = nullptr;
  handles.clear();
  for (auto& router : routers)
    router->set_node({});
  while (jobs.try_run_once()) {
  }
  return result;
}

void sim_cluster::lose(const sim_loss& loss) {
  if (lose_)
    lose_(loss);
}

} // namespace skippipe::actors::simulation
