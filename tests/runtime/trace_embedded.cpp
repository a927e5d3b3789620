// The trace of a real training run: threads, wall clock, tensors.
#include "../actors/training_problem.hpp"

#include "actors/trace/plan_record.hpp"
#include "scheduler/simulator.hpp"
#include "trace_checks.hpp"
#include "trace_pipeline.hpp"

using namespace skippipe;

TEST_CASE("a training run leaves a complete trace", "[trace][embedded]") {
  test::temporary_folder dir;
  training_problem problem;
  problem.path_length = 3; // one stage is skipped
  problem.iterations = 4;
  const auto plan = problem.plan();
  const auto timing = scheduler::simulate(problem.instance(), plan.paths, plan.order);
  REQUIRE_FALSE(trace::write_plan_record(dir.path, plan, trace::times_of(plan, timing)));

  runtime::embedded_options options;
  options.model = problem.model;
  options.optimizer = problem.optimizer;
  options.ranges = model::partition(problem.model.layers, problem.stages);
  options.seed = 5;
  options.microbatch_size = 2;
  options.samples.training = [&](iteration_no t, microbatch_id id) {
    return problem.sample(t, id);
  };
  options.job.plan = plan;
  options.job.memory.assign(plan.order.size(), problem.memory);
  options.job.last = problem.iterations;
  options.job.clip = problem.optimizer.clip;
  options.job.publish_checkpoint = [](iteration_no) {};
  options.write_snapshot = [](const model::shard_snapshot&) {};
  for (node_id node = 0; node < plan.order.size(); ++node)
    options.node_names.push_back("n" + std::to_string(node));
  options.run_dir = dir.path;
  runtime::embedded_cluster cluster{std::move(options)};
  REQUIRE(cluster.run() == "");
  test::check_trace(dir.path, plan, problem.iterations);
}
