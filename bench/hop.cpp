// What a hop costs beyond compute, and how many messages per second the actors move: the embedded
// cluster with shards that compute next to nothing, beside a bare ring of CAF actors in the same
// run.
//
// usage: bench_hop [ROUNDS]
#include "actors/simulation/hash_shard.hpp"
#include "runtime/embedded/embedded_cluster.hpp"
#include "scheduler/planner.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <string>
#include <vector>

using namespace skippipe;

namespace {

using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

/// With one microbatch in flight: the times between the end of one node's task and the start of the
/// next node's.
struct hop_record {
  std::mutex mutex;
  bool computed = false;
  clock_type::time_point end;
  std::vector<double> gaps_s;
};

/// A hash shard that notes when its tasks start and end.
class timed_shard final : public actors::shard_worker {
public:
  timed_shard(std::uint64_t seed, stage_id stage, hop_record* record)
      : inner_(seed, stage), record_(record) {}

  actors::payload first_forward(slot key, iteration_no iteration, microbatch_id id) override {
    auto result = inner_.first_forward(key, iteration, id);
    ended();
    return result;
  }
  actors::payload forward(slot key, const actors::payload& input) override {
    started();
    auto result = inner_.forward(key, input);
    ended();
    return result;
  }
  actors::loss_output loss(slot key, const actors::payload& hidden, double scale) override {
    started();
    auto result = inner_.loss(key, hidden, scale);
    ended();
    return result;
  }
  actors::payload backward(slot key, const actors::payload& gradient) override {
    started();
    auto result = inner_.backward(key, gradient);
    if (!result.empty())
      ended();
    return result;
  }
  void reset() override { inner_.reset(); }
  actors::payload blank() override { return inner_.blank(); }
  actors::payload first_infer(microbatch_id batch) override { return inner_.first_infer(batch); }
  actors::payload infer(const actors::payload& input) override { return inner_.infer(input); }
  actors::loss_output infer_loss(microbatch_id batch, const actors::payload& hidden) override {
    return inner_.infer_loss(batch, hidden);
  }
  std::int64_t gradient_size() override { return inner_.gradient_size(); }
  actors::payload gradient_view(std::int64_t offset, std::int64_t count) override {
    return inner_.gradient_view(offset, count);
  }
  void sum_shares(std::int64_t offset, std::span<const actors::payload> shares) override {
    inner_.sum_shares(offset, shares);
  }
  void write_gradient(std::int64_t offset, const actors::payload& sum) override {
    inner_.write_gradient(offset, sum);
  }
  std::vector<double> squared_norms() override { return inner_.squared_norms(); }
  void update(iteration_no iteration, double clip) override { inner_.update(iteration, clip); }
  void clear_gradients() override { inner_.clear_gradients(); }
  std::uint64_t hash() override { return inner_.hash(); }
  std::function<void()> snapshot(iteration_no iteration) override {
    return inner_.snapshot(iteration);
  }

private:
  void started() {
    if (record_ == nullptr)
      return;
    const auto now = clock_type::now();
    std::lock_guard guard{record_->mutex};
    if (record_->computed)
      record_->gaps_s.push_back(std::chrono::duration<double>(now - record_->end).count());
    record_->computed = false;
  }
  void ended() {
    if (record_ == nullptr)
      return;
    std::lock_guard guard{record_->mutex};
    record_->computed = true;
    record_->end = clock_type::now();
  }

  actors::simulation::hash_shard inner_;
  hop_record* record_;
};

/// Seconds of one iteration (median) of `microbatches` on `stages` nodes, full path.
double run_cluster(std::uint32_t stages, std::uint32_t microbatches, iteration_no iterations,
                   hop_record* record) {
  scheduler::instance problem;
  problem.name = "hop";
  problem.stages = problem.path_length = stages;
  problem.stage_sizes.assign(stages, 1);
  problem.microbatches_per_origin = microbatches;
  for (std::uint32_t i = 0; i < stages; ++i) {
    scheduler::node_spec node;
    node.name = "n" + std::to_string(i);
    node.memory = microbatches;
    problem.nodes.push_back(node);
  }
  problem.link_s.assign(std::size_t{stages} * stages, 0.0);
  scheduler::planner_options planning;
  planning.kind = scheduler::strategy::full;
  runtime::embedded_options options;
  options.job.plan = std::get<scheduler::plan>(scheduler::make_plan(problem, planning));
  options.job.plan.version = 1;
  options.job.memory.assign(stages, microbatches);
  options.job.last = iterations;
  options.threads = 2;
  options.make_shard = [record](node_id, const actors::assign& order) {
    return std::make_unique<timed_shard>(1, order.stage, record);
  };
  std::vector<double> times;
  auto last = clock_type::now();
  options.job.observer.on_iteration = [&](const actors::iteration_report&) {
    times.push_back(seconds_since(last));
    last = clock_type::now();
  };
  const auto failure = runtime::embedded_cluster{std::move(options)}.run();
  if (!failure.empty()) {
    std::fprintf(stderr, "%s\n", failure.c_str());
    std::exit(1);
  }
  return quantile(times, 0.5);
}

/// Messages per second through a ring of bare CAF actors with `tokens` messages under way.
double run_ring(std::uint32_t actors_count, std::uint32_t tokens, std::uint64_t hops) {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", std::size_t{2});
  caf::actor_system system{config};
  std::promise<void> ended;
  std::atomic<std::uint64_t> left{hops};
  std::vector<caf::actor> ring(actors_count);
  for (std::uint32_t i = actors_count; i-- > 0;)
    ring[i] = system.spawn(
        [&ring, &left, &ended, i, actors_count](caf::event_based_actor* self) -> caf::behavior {
          return {[=, &ring, &left, &ended](std::uint64_t token) {
            const auto before = left.fetch_sub(1);
            if (before == 1)
              ended.set_value();
            if (before > 1 && before < (std::uint64_t{1} << 63))
              self->send(ring[(i + 1) % actors_count], token);
          }};
        });
  const auto start = clock_type::now();
  for (std::uint32_t i = 0; i < tokens; ++i)
    caf::anon_send(ring[i % actors_count], std::uint64_t{i});
  ended.get_future().wait();
  const double elapsed = seconds_since(start);
  for (const auto& handle : ring)
    caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  return static_cast<double>(hops) / elapsed;
}

} // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  constexpr std::uint32_t stages = 4, crowd = 64;
  std::vector<double> medians, tails, rates, rings;
  for (int round = 0; round < rounds; ++round) {
    hop_record record;
    run_cluster(stages, 1, 500, &record);
    medians.push_back(quantile(record.gaps_s, 0.5) * 1e6);
    tails.push_back(quantile(record.gaps_s, 0.99) * 1e6);
    // Forward and backward over every link, and a credit for every forward.
    const double messages = crowd * (stages - 1) * 2 + crowd * (stages - 1) + crowd;
    rates.push_back(messages / run_cluster(stages, crowd, 60, nullptr));
    rings.push_back(run_ring(stages, crowd, 1000000));
  }
  std::printf("hop beyond compute: median %.1f us, 99th percentile %.1f us (one microbatch)\n",
              quantile(medians, 0.5), quantile(tails, 0.5));
  std::printf("messages: %.0f per second (%u microbatches); bare CAF actors %.0f; ratio %.3f\n",
              quantile(rates, 0.5), crowd, quantile(rings, 0.5),
              quantile(rates, 0.5) / quantile(rings, 0.5));
  return 0;
}
