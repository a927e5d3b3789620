#include "runtime/embedded/embedded_cluster.hpp"

#include "actors/compute_pool.hpp"
#include "actors/node.hpp"
#include "actors/tracer.hpp"
#include "actors/transport_link.hpp"
#include "transport/loopback.hpp"

#include <caf/all.hpp>

#include <future>
#include <mutex>
#include <utility>

namespace skippipe::runtime {

using namespace skippipe::actors;

namespace {

struct embedded_config : caf::actor_system_config {
  embedded_config() {
    // Work stealing polls; sharing sleeps. Handlers are short, so two threads serve any cluster.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{2});
  }
};

/// Builds LibTorch shards; `options` must outlive it.
shard_factory torch_shards(const embedded_options& options) {
  return [&options](node_id, const assign& order) {
    torch_shard_options shard;
    shard.shard.model = options.model;
    shard.shard.range = options.ranges.at(order.stage);
    shard.shard.optimizer = options.optimizer;
    shard.shard.accumulate =
        options.deterministic ? model::accumulation::fixed_point : model::accumulation::native;
    shard.shard.device = options.device;
    shard.shard.seed = options.seed;
    shard.microbatch_size = options.microbatch_size;
    shard.samples = options.samples;
    shard.write_snapshot = options.write_snapshot;
    shard.restore = options.restore;
    return make_torch_shard(std::move(shard));
  };
}

} // namespace

struct embedded_cluster::state {
  explicit state(embedded_options given)
      : options(std::move(given)), system(config),
        compute(options.threads, [] { limit_intra_op_threads(1); }), background(1) {}

  std::shared_ptr<environment> make_environment(node_id node, link_receiver receiver) {
    auto env = std::make_shared<environment>();
    env->node = node;
    auto endpoint =
        std::make_shared<transport_link>(node, hub.make_endpoint(node, {}), std::move(receiver));
    links.push_back(endpoint);
    env->net = endpoint;
    env->compute = compute.make_strand();
    env->background = background.make_strand();
    env->time = time;
    env->ring = std::make_shared<trace::trace_ring>();
    return env;
  }

  void spawn_tracer(const std::shared_ptr<environment>& env, const std::string& name,
                    std::uint64_t session) {
    if (options.run_dir.empty())
      return;
    tracer_options tracing;
    tracing.env = env;
    tracing.file.run_dir = options.run_dir;
    tracing.segment = {name, env->node, env->incarnation, session, 0, 0};
    tracers.push_back(system.spawn(tracer, std::move(tracing)));
  }

  embedded_options options;
  embedded_config config;
  caf::actor_system system;
  compute_pool compute;
  compute_pool background;
  transport::loopback_hub hub;
  std::shared_ptr<const clock> time = std::make_shared<real_clock>();
  std::vector<std::shared_ptr<transport_link>> links;
  std::vector<std::shared_ptr<mail_router>> routers;
  std::vector<node_actor> nodes;
  std::vector<tracer_actor> tracers;
  std::mutex mutex;
  scheduler_actor scheduler; ///< Guarded by mutex.
};

embedded_cluster::embedded_cluster(embedded_options options)
    : state_(std::make_unique<state>(std::move(options))) {}

embedded_cluster::~embedded_cluster() = default;

void embedded_cluster::request_stop() {
  std::lock_guard guard{state_->mutex};
  if (state_->scheduler)
    caf::anon_send(state_->scheduler, caf::close_atom::value);
}

std::string embedded_cluster::run() {
  auto& s = *state_;
  const auto& options = s.options;
  const auto session = static_cast<std::uint64_t>(s.time->now_ns());
  const auto count = static_cast<node_id>(options.job.plan.order.size());
  const auto name_of = [&](node_id node) {
    return node < options.node_names.size() ? options.node_names[node]
                                            : "node-" + std::to_string(node);
  };
  for (node_id node = 0; node < count; ++node) {
    auto router = std::make_shared<mail_router>();
    s.routers.push_back(router);
    node_options node_opts;
    node_opts.env = s.make_environment(node, router->receiver());
    node_opts.router = router;
    node_opts.make_shard = options.make_shard ? options.make_shard : torch_shards(options);
    s.spawn_tracer(node_opts.env, name_of(node), session);
    s.nodes.push_back(s.system.spawn(actors::node, std::move(node_opts)));
    router->set_node(s.nodes.back());
  }

  std::promise<std::string> ended;
  auto job = options.job;
  // The job ends once, one way or the other.
  job.observer.on_done = [&ended, next = job.observer.on_done](iteration_no last) {
    if (next)
      next(last);
    ended.set_value({});
  };
  job.observer.on_failed = [&ended, next = job.observer.on_failed](const std::string& why) {
    if (next)
      next(why);
    ended.set_value(why);
  };
  auto inbox = std::make_shared<scheduler_actor>();
  link_receiver to_scheduler{
      [inbox](inbound message) { caf::anon_send(*inbox, std::move(message)); }, {}};
  auto env = s.make_environment(scheduler_address, std::move(to_scheduler));
  s.spawn_tracer(env, "scheduler", session);
  *inbox = s.system.spawn(job_scheduler, env, std::move(job));
  {
    std::lock_guard guard{s.mutex};
    s.scheduler = *inbox;
  }
  for (const auto& from : s.links)
    for (node_id to = 0; to <= count; ++to)
      if (s.links[to] != from)
        from->connect(to == count ? scheduler_address : to, s.links[to]->local_address());
  caf::anon_send(*inbox, caf::ok_atom::value);

  auto failure = ended.get_future().get();

  {
    std::lock_guard guard{s.mutex};
    s.scheduler = nullptr;
  }
  caf::scoped_actor self{s.system};
  for (const auto& tracing : s.tracers) {
    auto closed = std::make_shared<std::promise<void>>();
    self->send(tracing, closed);
    closed->get_future().wait();
  }
  for (const auto& link : s.links)
    link->close();
  std::vector<caf::actor> all;
  for (const auto& handle : s.nodes)
    all.push_back(caf::actor_cast<caf::actor>(handle));
  all.push_back(caf::actor_cast<caf::actor>(*inbox));
  for (const auto& handle : all)
    self->send_exit(handle, caf::exit_reason::user_shutdown);
  self->wait_for(all);
  for (const auto& router : s.routers) {
    router->set_node({});
    router->set_replica({}, {});
  }
  *inbox = nullptr;
  s.nodes.clear();
  s.tracers.clear();
  return failure;
}

} // namespace skippipe::runtime
