#include "actors/node.hpp"

#include "actors/origin.hpp"
#include "actors/reducer.hpp"
#include "actors/stage.hpp"
#include "model/first_line.hpp"

#include <exception>
#include <utility>

namespace skippipe::actors {

bool node_state::current(term_no term) {
  if (term < term_)
    return false; // A scheduler that no longer reigns.
  term_ = term;
  return true;
}

void node_state::accept(inbound& message) {
  if (auto* order = std::get_if<assign>(&message.message)) {
    if (current(order->term) && !std::exchange(assigned_, true))
      build(*order);
    return;
  }
  if (auto* order = std::get_if<stop>(&message.message)) {
    // In line with what came before: a commit is still applied.
    if (current(order->term))
      retire_children();
    return;
  }
  if (retired_)
    return;
  if (!stage_handle) {
    constexpr std::size_t most = 4096; // A bound; peers send a few credits and chunks at most.
    if (before_stage_.size() < most)
      before_stage_.push_back(std::move(message));
    return;
  }
  if (std::holds_alternative<microbatch>(message.message)
      || std::holds_alternative<credit>(message.message))
    self->send(stage_handle, std::move(message));
  else if (std::holds_alternative<gradient_chunk>(message.message))
    self->send(reducer_handle, std::move(message));
  else if (auto* plan = std::get_if<set_plan>(&message.message)) {
    if (current(plan->term))
      self->send(stage_handle, std::move(*plan));
  } else if (auto* go = std::get_if<proceed>(&message.message)) {
    if (current(go->term))
      self->send(stage_handle, *go);
  } else if (auto* stands = std::get_if<commit>(&message.message)) {
    if (current(stands->term))
      self->send(stage_handle, *stands);
  } else if (auto* again = std::get_if<replay>(&message.message)) {
    if (current(again->term))
      self->send(stage_handle, *again);
  } else if (auto* write = std::get_if<snapshot_now>(&message.message)) {
    if (current(write->term))
      self->send(stage_handle, *write);
  } else if (auto* check = std::get_if<evaluate>(&message.message)) {
    if (current(check->term) && origin_handle)
      self->send(origin_handle, std::move(*check));
  }
}

void node_state::build(const assign& order) {
  options.env->compute->submit(work_kind::other, [order, make = options.make_shard,
                                                  limits = options.warm_up, env = options.env,
                                                  target = node_actor{self}] {
    auto built = std::make_shared<shard_built>();
    built->order = order;
    try {
      built->shard = make(env->node, order);
      built->costs = warm_up(*built->shard, order.stage, limits, *env->time);
      built->gradient_size = built->shard->gradient_size();
      built->hash = built->shard->hash();
    } catch (const std::exception& problem) {
      built->error = problem.what();
    }
    caf::anon_send(target, std::move(built));
  });
}

void node_state::adopt(shard_built& built) {
  if (retired_)
    return;
  if (!built.error.empty())
    return report({options.env->node, built.error});
  std::shared_ptr<shard_worker> shard = std::move(built.shard);
  const auto stage_no = built.order.stage;
  reducer_handle = self->spawn<caf::monitored>(
      reducer, reducer_options{options.env, shard, stage_no, built.order.committed,
                               built.gradient_size, options.reduction_bucket});
  if (stage_no == 0)
    origin_handle = self->spawn<caf::monitored>(origin, origin_options{options.env});
  stage_options stage_opts;
  stage_opts.stage = stage_no;
  stage_opts.committed = built.order.committed;
  stage_opts.env = options.env;
  stage_opts.shard = shard;
  stage_opts.origin = origin_handle;
  stage_opts.reducer = reducer_handle;
  stage_opts.node = node_actor{self};
  stage_opts.measures_idle = options.warm_up.microbatches > 0;
  stage_handle = self->spawn<caf::monitored>(stage, std::move(stage_opts));
  if (origin_handle)
    self->send(origin_handle, stage_handle);
  self->send(reducer_handle, stage_handle);
  options.router->set_replica(stage_handle, reducer_handle);
  options.env->net->send(scheduler_address, ready{options.env->node, stage_no,
                                                  built.order.committed, built.hash, built.costs});
  for (auto& message : std::exchange(before_stage_, {}))
    accept(message);
}

void node_state::report(const failed& problem) {
  options.env->net->send(scheduler_address,
                         failed{options.env->node, model::first_line(problem.reason)});
}

void node_state::child_down(const caf::down_msg& down) {
  if (!down.reason || down.reason == caf::exit_reason::user_shutdown)
    return;
  const std::string part = stage_handle && down.source == stage_handle.address()     ? "stage"
                           : origin_handle && down.source == origin_handle.address() ? "origin"
                                                                                     : "reducer";
  report({options.env->node, "its " + part + " has ended by an error of its own; see its log"});
}

void node_state::retire_children() {
  retired_ = true;
  before_stage_.clear();
  options.router->set_replica({}, {});
  if (stage_handle)
    self->send(stage_handle, caf::close_atom::value);
  if (origin_handle)
    self->send(origin_handle, caf::close_atom::value);
  if (reducer_handle)
    self->send(reducer_handle, caf::close_atom::value);
  stage_handle = nullptr;
  origin_handle = nullptr;
  reducer_handle = nullptr;
}

void node_state::stop_children() {
  options.router->set_replica({}, {});
  for (auto handle :
       {caf::actor_cast<caf::actor>(stage_handle), caf::actor_cast<caf::actor>(origin_handle),
        caf::actor_cast<caf::actor>(reducer_handle)})
    if (handle)
      caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  stage_handle = nullptr;
  origin_handle = nullptr;
  reducer_handle = nullptr;
}

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self,
                               node_options options) {
  self->state.self = self;
  self->state.options = std::move(options);
  self->set_down_handler([self](caf::down_msg& down) { self->state.child_down(down); });
  self->set_exit_handler([self](caf::exit_msg& why) {
    self->state.stop_children();
    self->quit(why.reason);
  });
  return {
      [self](inbound& message) { self->state.accept(message); },
      [self](std::shared_ptr<shard_built>& built) { self->state.adopt(*built); },
      [self](const failed& problem) { self->state.report(problem); },
      [self](status_atom) -> caf::result<stage_status> {
        if (self->state.stage_handle)
          return self->delegate(self->state.stage_handle, status_atom::value);
        stage_status empty;
        empty.node = self->state.options.env->node;
        return empty;
      },
  };
}

void mail_router::set_node(node_actor handle) {
  std::lock_guard guard{mutex_};
  node_ = std::move(handle);
}

void mail_router::set_replica(stage_actor stage, reducer_actor reducer) {
  std::lock_guard guard{mutex_};
  stage_ = std::move(stage);
  reducer_ = std::move(reducer);
}

void mail_router::deliver(inbound message) {
  // The handles are copied out: no lock is held while a mailbox is entered.
  const bool chunk = std::holds_alternative<gradient_chunk>(message.message);
  const bool work = std::holds_alternative<microbatch>(message.message)
                    || std::holds_alternative<credit>(message.message);
  std::unique_lock guard{mutex_};
  if (chunk && reducer_) {
    auto target = reducer_;
    guard.unlock();
    caf::anon_send(target, std::move(message));
  } else if (work && stage_) {
    auto target = stage_;
    guard.unlock();
    caf::anon_send(target, std::move(message));
  } else if (node_) {
    auto target = node_;
    guard.unlock();
    caf::anon_send(target, std::move(message));
  }
}

link_receiver mail_router::receiver() {
  return {[this](inbound message) { deliver(std::move(message)); }, [](node_id, std::string) {}};
}

} // namespace skippipe::actors
