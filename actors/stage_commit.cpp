// Of the stage actor: the end of an iteration, its update and its snapshot.
#include "actors/stage.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::actors {

using trace::event_kind;

void stage_state::gradient_complete(const reduce_done& result) {
  if (!result.error.empty())
    return fail(result.error);
  if (!entered_ || result.iteration != iteration_ || result.attempt != attempt_)
    return;
  std::sort(contributions_.begin(), contributions_.end());
  options_.env->net->send(scheduler_address,
                          reduced{options_.env->node,
                                  options_.stage,
                                  iteration_,
                                  attempt_,
                                  {result.squared_norms.begin(), result.squared_norms.end()},
                                  contributions_,
                                  compute_s_,
                                  sums_.means(),
                                  options_.env->net->take_samples()});
  options_.env->record({.iteration = iteration_,
                        .stage = options_.stage,
                        .attempt = attempt_,
                        .kind = event_kind::norms_reported});
}

void stage_state::apply(const commit& order) {
  if (!entered_ || order.iteration != iteration_ || order.attempt != attempt_)
    return; // Applied already (a duplicate), or of an attempt that was replaced.
  options_.env->record({.iteration = iteration_,
                        .stage = options_.stage,
                        .attempt = attempt_,
                        .kind = event_kind::commit_received});
  entered_ = false;
  updating_ = true;
  committed_ = iteration_;
  options_.env->compute->submit(
      work_kind::update,
      [order, shard = options_.shard, env = options_.env, target = stage_actor{self_}] {
        update_done result;
        result.iteration = order.iteration;
        env->record({.iteration = order.iteration, .kind = event_kind::step_started});
        try {
          if (order.skip)
            shard->clear_gradients();
          else
            shard->update(order.iteration, order.clip_factor);
          result.hash = shard->hash();
          if (order.snapshot)
            result.snapshot_job = shard->snapshot(order.iteration);
        } catch (const std::exception& problem) {
          result.error = problem.what();
        }
        caf::anon_send(target, std::move(result));
      });
  // Credits of the next iteration go out while the update runs.
  allow(order.limit, order.plan);
}

void stage_state::applied(update_done& result) {
  if (result.only_snapshot && result.error.empty())
    return write_snapshot(result.iteration, std::move(result.snapshot_job));
  updating_ = false;
  if (!result.error.empty())
    return fail(result.error);
  options_.env->record(
      {.iteration = result.iteration, .stage = options_.stage, .kind = event_kind::step_done});
  if (result.snapshot_job)
    write_snapshot(result.iteration, std::move(result.snapshot_job));
  options_.env->net->send(
      scheduler_address,
      ready{options_.env->node, options_.stage, result.iteration, result.hash, {}});
  pump();
  reduce_if_done();
}

void stage_state::write_snapshot(iteration_no iteration, std::function<void()> job) {
  options_.env->record(
      {.iteration = iteration, .stage = options_.stage, .kind = event_kind::snapshot_started});
  options_.env->background->submit(work_kind::other, [job = std::move(job), env = options_.env,
                                                      stage = options_.stage, iteration] {
    snapshot_done report{env->node, stage, iteration, {}};
    try {
      job();
    } catch (const std::exception& problem) {
      report.error = problem.what();
    }
    env->record({.iteration = iteration, .stage = stage, .kind = event_kind::snapshot_done});
    env->net->send(scheduler_address, std::move(report));
  });
}

void stage_state::snapshot_late(const snapshot_now& order) {
  if (order.iteration != committed_ || updating_)
    return; // The scheduler asks those only that have said that they are ready.
  options_.env->compute->submit(work_kind::other, [iteration = committed_, shard = options_.shard,
                                                   target = stage_actor{self_}] {
    update_done result;
    result.iteration = iteration;
    try {
      result.snapshot_job = shard->snapshot(iteration);
    } catch (const std::exception& problem) {
      result.error = problem.what();
    }
    result.only_snapshot = true;
    caf::anon_send(target, std::move(result));
  });
}

} // namespace skippipe::actors
