// Of the stage actor: its tasks, from ready inputs to what is sent on.
#include "actors/stage.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace skippipe::actors {

using scheduler::task_kind;
using trace::event_kind;

void stage_state::pump() {
  if (busy_ || updating_)
    return;
  if (entered_) {
    const auto now = options_.env->time->now_ns();
    if (const auto until = queue_.wait_until(now))
      return pump_at(*until, now);
    if (const auto index = queue_.start_next()) {
      queue_.started_at(*index, now);
      return run_task(*index);
    }
  }
  if (!evaluations_.empty()) {
    auto work = std::move(evaluations_.front());
    evaluations_.erase(evaluations_.begin());
    run_evaluation(std::move(work));
  }
}

void stage_state::pump_at(std::int64_t then_ns, std::int64_t now_ns) {
  if (std::exchange(wakes_ns_, then_ns) != then_ns)
    self_->delayed_send(self_, std::chrono::nanoseconds{then_ns - now_ns}, caf::tick_atom::value);
}

void stage_state::submit(work_kind kind, microbatch work, std::size_t index,
                         std::function<void(task_done&)> body) {
  busy_ = true;
  options_.env->record(event_of(event_kind::started, work));
  options_.env->compute->submit(kind, [work = std::move(work), index, body = std::move(body),
                                       env = options_.env, target = stage_actor{self_}]() mutable {
    task_done result;
    result.iteration = work.iteration;
    result.attempt = work.attempt;
    result.index = index;
    result.work = std::move(work);
    result.started_ns = env->compute->began_ns(env->time->now_ns());
    try {
      body(result);
    } catch (const std::exception& problem) {
      result.error = problem.what();
    }
    result.ended_ns = env->time->now_ns();
    caf::anon_send(target, std::move(result));
  });
}

void stage_state::run_task(std::size_t index) {
  auto node = inputs_.extract(index);
  auto work = std::get<microbatch>(std::move(node.mapped().message));
  auto input = std::make_shared<payload>(std::move(node.mapped().tensor));
  auto shard = options_.shard;
  const auto id = work.id;
  switch (work.kind()) {
    case task_kind::forward:
      if (queue_.task(index).from != options_.env->node) {
        window_.started();
        grant_credits();
      }
      return submit(work_kind::forward, std::move(work), index, [=](task_done& result) {
        result.output = result.work.step == 0 ? shard->first_forward(id, result.iteration, id)
                                              : shard->forward(id, *input);
        *input = {};
      });
    case task_kind::loss: {
      const double scale = 1.0 / plan_.microbatches;
      return submit(work_kind::loss, std::move(work), index, [=](task_done& result) {
        auto output = shard->loss(id, *input, scale);
        *input = {};
        result.output = std::move(output.gradient);
        result.loss_sum = output.loss_sum;
        result.tokens = output.tokens;
      });
    }
    case task_kind::backward:
      return submit(work_kind::backward, std::move(work), index, [=](task_done& result) {
        result.output = shard->backward(id, *input);
        *input = {};
      });
  }
}

void stage_state::run_evaluation(inbound message) {
  auto work = std::get<microbatch>(std::move(message.message));
  auto input = std::make_shared<payload>(std::move(message.tensor));
  auto shard = options_.shard;
  const auto id = work.id;
  const auto kind = work.kind() == task_kind::loss ? work_kind::loss : work_kind::forward;
  submit(kind, std::move(work), 0, [=](task_done& result) {
    if (result.work.kind() == task_kind::loss) {
      auto output = shard->infer_loss(id, *input);
      result.loss_sum = output.loss_sum;
      result.tokens = output.tokens;
    } else {
      result.output = result.work.step == 0 ? shard->first_infer(id) : shard->infer(*input);
    }
    *input = {};
  });
}

void stage_state::finish(task_done& result) {
  busy_ = false;
  if (!result.error.empty())
    return fail(result.error);
  auto& work = result.work;
  const bool evaluation = work.mode == pass::evaluate;
  if (!evaluation && (!entered_ || result.iteration != iteration_ || result.attempt != attempt_)) {
    drop(work, trace::reason::stale_attempt); // The iteration was replayed meanwhile.
    return pump();
  }
  auto e = event_of(event_kind::computed, work);
  e.time_ns = result.ended_ns;
  e.node = options_.env->node;
  options_.env->ring->record(e);
  compute_s_ += 1e-9 * static_cast<double>(result.ended_ns - result.started_ns);
  ++tasks_done_;
  const auto kind = work.kind();
  if (!evaluation) {
    queue_.finish(result.index);
    sums_.add(kind, result.ended_ns - result.started_ns);
    if (kind == task_kind::backward) {
      contributions_.push_back(work.id);
      options_.env->record(event_of(event_kind::freed, work));
    }
  }
  if (kind == task_kind::loss)
    self_->send(options_.origin, loss_known{work, result.loss_sum, result.tokens});
  if (work.step < work.last_step())
    pass_on(std::move(work), std::move(result.output));
  pump();
  reduce_if_done();
}

/// A node that was slow and has nothing to do any more would never be seen to have recovered. So it runs a
/// microbatch that is none, for a twentieth of the time at most. Origins always have their own.
void stage_state::measure_if_idle() {
  if (!options_.measures_idle || options_.stage == 0 || !plan_.order.empty() || measuring_
      || options_.env->time->now_ns() < measure_again_ns_)
    return;
  measuring_ = true;
  auto seen = std::make_shared<idle_measured>();
  const auto timed = [env = options_.env, seen](std::int64_t& took, const auto& body) {
    const auto began = env->compute->began_ns(env->time->now_ns());
    try {
      body();
    } catch (const std::exception& problem) {
      seen->error = problem.what();
    }
    took = env->time->now_ns() - began;
  };
  options_.env->compute->submit(work_kind::forward, [timed, seen, shard = options_.shard] {
    timed(seen->forward_ns, [&] { shard->forward(0, shard->blank()); });
  });
  options_.env->compute->submit(
      work_kind::backward, [timed, seen, shard = options_.shard, target = stage_actor{self_}] {
        if (seen->error.empty())
          timed(seen->backward_ns, [&] { shard->backward(0, shard->blank()); });
        shard->reset(); // As if it had not been.
        caf::anon_send(target, std::move(*seen));
      });
}

void stage_state::idle_known(const idle_measured& seen) {
  measuring_ = false;
  if (!seen.error.empty())
    return fail(seen.error);
  const auto took = seen.forward_ns + seen.backward_ns;
  measure_again_ns_ = options_.env->time->now_ns() + 19 * took;
  if (entered_ && plan_.order.empty()) { // Else it has real ones again.
    sums_.add(task_kind::forward, seen.forward_ns);
    sums_.add(task_kind::backward, seen.backward_ns);
  }
  reduce_if_done();
}

void stage_state::reduce_if_done() {
  if (!entered_ || updating_ || measuring_ || !queue_.all_done() || std::exchange(reducing_, true))
    return;
  options_.env->record({.iteration = iteration_,
                        .stage = options_.stage,
                        .attempt = attempt_,
                        .kind = event_kind::reduce_started});
  self_->send(options_.reducer, reduce_begin{iteration_, attempt_, plan_.replicas});
}

void stage_state::pass_on(microbatch work, payload tensor) {
  ++work.step;
  work.tensor = tensor.desc;
  if (work.node_of(work.step) == options_.env->node) {
    inbound local{options_.env->node, std::move(work), std::move(tensor)};
    return accept(local);
  }
  // Gradients and losses need no credit: their slot is held.
  if (work.mode == pass::train && work.kind() == task_kind::forward
      && credits_.erase({iteration_, attempt_, plan_.version, work.id}) == 0) {
    const auto id = work.id;
    outbox_.insert_or_assign(id, pending_send{std::move(work), std::move(tensor)});
    return;
  }
  transmit(std::move(work), std::move(tensor));
}

void stage_state::transmit(microbatch work, payload tensor) {
  const auto to = work.node_of(work.step);
  work.transfer = trace::make_transfer_id(options_.env->node, options_.env->incarnation,
                                          (std::uint64_t{1} << 48) | ++transfers_);
  auto e = event_of(event_kind::sent, work);
  e.peer = to;
  e.transfer = work.transfer;
  e.bytes = tensor.data.size();
  options_.env->record(e);
  options_.env->net->send(to, std::move(work), std::move(tensor));
}

} // namespace skippipe::actors
