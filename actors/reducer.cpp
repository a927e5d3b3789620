#include "actors/reducer.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

namespace skippipe::actors {

using trace::event_kind;

std::vector<std::pair<std::int64_t, std::int64_t>>
reducer_state::pieces_of(std::size_t part) const {
  const auto replicas = static_cast<std::int64_t>(replicas_.size());
  const auto index = static_cast<std::int64_t>(part);
  const auto first = options.gradient_size * index / replicas;
  const auto last = options.gradient_size * (index + 1) / replicas;
  std::vector<std::pair<std::int64_t, std::int64_t>> result;
  for (auto offset = first; offset < last; offset += options.bucket)
    result.emplace_back(offset, std::min(options.bucket, last - offset));
  return result;
}

bool reducer_state::is_piece(std::size_t part, std::int64_t offset, std::int64_t count) const {
  const auto pieces = pieces_of(part);
  return std::find(pieces.begin(), pieces.end(), std::make_pair(offset, count)) != pieces.end();
}

void reducer_state::start(reducer_actor::pointer pointer, reducer_options given) {
  self = pointer;
  options = std::move(given);
  current_ = {options.committed, std::numeric_limits<attempt_no>::max()};
}

void reducer_state::begin(const reduce_begin& order) {
  current_ = {order.iteration, order.attempt};
  running_ = true;
  replicas_ = order.replicas;
  mine_ = static_cast<std::uint32_t>(
      std::find(replicas_.begin(), replicas_.end(), options.env->node) - replicas_.begin());
  shares_.clear();
  missing_.clear();
  arrived_.clear();
  unfinished_ = 0;
  for (std::size_t part = 0; part < replicas_.size(); ++part) {
    const auto pieces = pieces_of(part);
    unfinished_ += pieces.size();
    for (auto [offset, count] : pieces) {
      if (part != mine_) {
        send_chunk(replicas_[part], false, offset, options.shard->gradient_view(offset, count));
      } else {
        shares_[offset].resize(replicas_.size());
        missing_[offset] = static_cast<std::uint32_t>(replicas_.size() - 1);
      }
    }
  }
  for (auto& message : std::exchange(early_, {}))
    accept(message);
  if (replicas_.size() == 1)
    submit_norms(); // Nothing to sum, nothing to wait for.
}

void reducer_state::send_chunk(node_id to, bool is_sum, std::int64_t offset, payload tensor) {
  gradient_chunk chunk;
  chunk.iteration = current_.first;
  chunk.attempt = current_.second;
  chunk.reduced = is_sum;
  chunk.replica = mine_;
  chunk.offset = offset;
  chunk.tensor = tensor.desc;
  chunk.transfer = trace::make_transfer_id(options.env->node, options.env->incarnation,
                                           (std::uint64_t{2} << 48) | ++transfers_);
  options.env->record({.transfer = chunk.transfer,
                       .bytes = tensor.data.size(),
                       .iteration = chunk.iteration,
                       .peer = to,
                       .stage = options.stage,
                       .attempt = chunk.attempt,
                       .kind = event_kind::reduce_sent});
  options.env->net->send(to, std::move(chunk), std::move(tensor));
}

void reducer_state::drop(const gradient_chunk& chunk, node_id from, trace::reason why) {
  options.env->record({.transfer = chunk.transfer,
                       .iteration = chunk.iteration,
                       .peer = from,
                       .stage = options.stage,
                       .attempt = chunk.attempt,
                       .kind = event_kind::dropped,
                       .why = why});
}

void reducer_state::accept(inbound& message) {
  const auto& chunk = std::get<gradient_chunk>(message.message);
  const key when{chunk.iteration, chunk.attempt};
  if (when < current_)
    return drop(chunk, message.from, trace::reason::stale_iteration);
  if (when > current_ || !running_) {
    // A peer whose commit came first can be one iteration ahead, no more.
    if (chunk.iteration > current_.first + 2 || (when == current_ && !running_))
      return drop(chunk, message.from, trace::reason::unexpected);
    early_.push_back(std::move(message));
    return;
  }
  options.env->record({.transfer = chunk.transfer,
                       .bytes = message.tensor.data.size(),
                       .iteration = chunk.iteration,
                       .peer = message.from,
                       .stage = options.stage,
                       .attempt = chunk.attempt,
                       .kind = event_kind::reduce_received});
  const auto count = message.tensor.desc.shape.size() == 1 ? message.tensor.desc.shape[0] : -1;
  const bool from_replica = chunk.replica < replicas_.size() && chunk.replica != mine_
                            && replicas_[chunk.replica] == message.from;
  if (!from_replica || !is_piece(chunk.reduced ? chunk.replica : mine_, chunk.offset, count))
    return drop(chunk, message.from, trace::reason::malformed);
  if (!arrived_.emplace(chunk.offset, chunk.replica).second)
    return drop(chunk, message.from, trace::reason::duplicate);
  take(chunk, std::move(message.tensor));
}

void reducer_state::take(const gradient_chunk& chunk, payload tensor) {
  const auto offset = chunk.offset;
  if (!chunk.reduced) {
    shares_[offset][chunk.replica] = std::move(tensor);
    if (--missing_[offset] == 0)
      submit_sum(offset);
    return;
  }
  submit(offset, [shard = options.shard, offset, tensor = std::move(tensor)] {
    shard->write_gradient(offset, tensor);
    return payload{};
  });
}

void reducer_state::submit_sum(std::int64_t offset) {
  auto shares = shares_.extract(offset).mapped();
  const auto pieces = pieces_of(mine_);
  const auto count = std::find_if(pieces.begin(), pieces.end(), [&](const auto& piece) {
                       return piece.first == offset;
                     })->second;
  submit(offset, [shard = options.shard, offset, count, shares = std::move(shares)] {
    shard->sum_shares(offset, shares);
    return shard->gradient_view(offset, count);
  });
}

void reducer_state::submit(std::int64_t offset, std::function<payload()> body) {
  options.env->compute->submit(work_kind::reduce, [body = std::move(body), offset, when = current_,
                                                   target = reducer_actor{self}] {
    reduce_step_done result{when.first, when.second, offset, {}, {}};
    try {
      result.sum = body();
    } catch (const std::exception& problem) {
      result.error = problem.what();
    }
    caf::anon_send(target, std::move(result));
  });
}

void reducer_state::step_done(reduce_step_done& result) {
  if (!running_ || key{result.iteration, result.attempt} != current_)
    return;
  if (!result.error.empty()) {
    self->send(stage, reduce_done{result.iteration, result.attempt, {}, result.error});
    return;
  }
  if (!result.sum.empty())
    for (std::size_t part = 0; part < replicas_.size(); ++part)
      if (part != mine_)
        send_chunk(replicas_[part], true, result.offset, result.sum);
  if (--unfinished_ == 0)
    submit_norms();
}

void reducer_state::submit_norms() {
  options.env->record({.iteration = current_.first,
                       .stage = options.stage,
                       .attempt = current_.second,
                       .kind = event_kind::reduced});
  options.env->compute->submit(
      work_kind::reduce, [shard = options.shard, when = current_, target = reducer_actor{self}] {
        reduce_done result{when.first, when.second, {}, {}};
        try {
          result.squared_norms = shard->squared_norms();
        } catch (const std::exception& problem) {
          result.error = problem.what();
        }
        caf::anon_send(target, std::move(result));
      });
}

void reducer_state::norms_known(const reduce_done& result) {
  if (!running_ || key{result.iteration, result.attempt} != current_)
    return;
  running_ = false;
  self->send(stage, result);
}

void reducer_state::reset(const reduce_reset& order) {
  running_ = false;
  // The new attempt begins after current_; its chunks may come before reduce_begin.
  current_ = {order.iteration, order.attempt == 0 ? 0 : order.attempt - 1};
  shares_.clear();
  std::erase_if(early_, [this](const inbound& message) {
    const auto& chunk = std::get<gradient_chunk>(message.message);
    return key{chunk.iteration, chunk.attempt} <= current_;
  });
  // What was submitted before comes before; nothing of the old attempt is submitted any more.
  options.env->compute->submit(work_kind::other, [shard = options.shard, order, target = stage] {
    shard->reset();
    caf::anon_send(target, shard_reset{order.iteration, order.attempt});
  });
}

reducer_actor::behavior_type reducer(reducer_actor::stateful_pointer<reducer_state> self,
                                     reducer_options options) {
  self->state.start(self, std::move(options));
  return {
      [self](const stage_actor& stage) { self->state.stage = stage; },
      [self](const reduce_begin& order) { self->state.begin(order); },
      [self](inbound& message) { self->state.accept(message); },
      [self](reduce_step_done& result) { self->state.step_done(result); },
      [self](const reduce_done& result) { self->state.norms_known(result); },
      [self](const reduce_reset& order) { self->state.reset(order); },
      [self](caf::close_atom) { self->quit(); },
  };
}

} // namespace skippipe::actors
