#include "transport/emulated.hpp"

#include "transport/interface_model.hpp"
#include "transport/sender_side.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <set>

namespace skippipe::transport {
namespace {

using std::chrono::nanoseconds;

nanoseconds to_ns(double seconds) { return nanoseconds(static_cast<std::int64_t>(seconds * 1e9)); }
double to_s(nanoseconds t) { return static_cast<double>(t.count()) * 1e-9; }

/// A message between `send` and its outcome.
struct transfer {
  enum class at { interface, flying, handed } where = at::interface;
  peer_id to = 0;
  std::vector<std::byte> header;
  buffer payload;
  completion done;
  nanoseconds deadline{};
  double bytes = 0;
  request_id inner = 0; ///< Once handed to the wrapped endpoint.
};

/// The emulated network of one node.
class network final : public sender_side, public std::enable_shared_from_this<network> {
public:
  network(std::unique_ptr<endpoint> inner, emulation_options options, timer& time)
      : sender_side(std::move(inner)), options_(std::move(options)), time_(time),
        model_(options_.interface_Bps > 0 ? options_.interface_Bps : interface_model::unlimited) {}

  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  nanoseconds deadline) override;
  void cancel(request_id id) override { give_up(id, errc::canceled); }
  void give_up_peer(peer_id peer, errc code) override {
    give_up_if([peer](const transfer& t) { return t.to == peer; }, code);
  }
  void give_up_all(errc code) override {
    give_up_if([](const transfer&) { return true; }, code);
  }

private:
  // With the mutex held.
  void enter_interface(request_id id, transfer& t, nanoseconds now);
  void begin_next(peer_id peer, nanoseconds now);
  void fly(request_id id, transfer& t, nanoseconds arrival);
  void arm_interface(nanoseconds now);
  void arm_deadlines();
  completion remove(request_id id, request_id& handed);
  emulated_link link_to(peer_id peer) const {
    return options_.link ? options_.link(peer) : emulated_link{};
  }

  // Without.
  void on_interface_alarm();
  void on_deadline_alarm();
  void arrive(request_id id);
  void settle(request_id id, std::error_code code);
  void give_up(request_id id, errc code);
  template <class Predicate>
  void give_up_if(Predicate concerned, errc code);
  template <void (network::*F)()>
  void alarm_at(nanoseconds when) {
    time_.at(when, [weak = weak_from_this()] {
      if (const auto self = weak.lock())
        ((*self).*F)();
    });
  }

  const emulation_options options_;
  timer& time_;

  std::mutex mutex_; ///< Guards the rest; never held while calling out, but for `timer::at`.
  std::map<request_id, transfer> pending_;
  request_id last_ = 0;
  interface_model model_;
  std::map<peer_id, std::deque<request_id>> queues_; ///< The front is in the model.
  std::map<peer_id, nanoseconds> last_arrival_;
  std::set<std::pair<nanoseconds, request_id>> deadlines_;
  nanoseconds interface_alarm_ = nanoseconds::max();
  nanoseconds deadline_alarm_ = nanoseconds::max();
};

request_id network::send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                         nanoseconds deadline) {
  std::error_code problem;
  if (header.size() > options_.bounds.max_header)
    problem = errc::header_too_large;
  else if (payload.size() > options_.bounds.max_payload)
    problem = errc::payload_too_large;
  const double bytes = options_.nominal_bytes ? options_.nominal_bytes(header, payload.size())
                                              : static_cast<double>(header.size() + payload.size());
  const nanoseconds now = time_.now();
  request_id id = 0;
  {
    const std::lock_guard guard(mutex_);
    id = ++last_;
    if (!problem && pending_.size() >= options_.bounds.max_pending)
      problem = errc::too_many_pending;
    if (!problem) {
      transfer& t = pending_[id];
      t.to = to;
      t.header = std::move(header);
      t.payload = std::move(payload);
      t.done = std::move(done);
      t.bytes = bytes;
      t.deadline = now + (deadline.count() == 0 ? options_.bounds.deadline : deadline);
      deadlines_.emplace(t.deadline, id);
      arm_deadlines();
      enter_interface(id, t, now);
    }
  }
  if (problem)
    report(std::move(done), problem);
  return id;
}

void network::enter_interface(request_id id, transfer& t, nanoseconds now) {
  const emulated_link link = link_to(t.to);
  if (!options_.contention) {
    const double wire = link.bandwidth_Bps > 0 ? t.bytes / link.bandwidth_Bps : 0;
    return fly(id, t, now + to_ns(link.latency_s + wire));
  }
  auto& queue = queues_[t.to];
  queue.push_back(id);
  if (queue.size() == 1) {
    begin_next(t.to, now);
    arm_interface(now);
  }
}

void network::begin_next(peer_id peer, nanoseconds now) {
  const transfer& t = pending_.at(queues_.at(peer).front());
  const double link = link_to(peer).bandwidth_Bps;
  model_.start(peer, t.bytes, link > 0 ? link : interface_model::unlimited, to_s(now));
}

void network::fly(request_id id, transfer& t, nanoseconds arrival) {
  t.where = transfer::at::flying;
  nanoseconds& last = last_arrival_[t.to];
  last = std::max(last, arrival);
  time_.at(last, [weak = weak_from_this(), id] {
    if (const auto self = weak.lock())
      self->arrive(id);
  });
}

void network::arm_interface(nanoseconds now) {
  const double end = model_.next_end();
  if (end == interface_model::unlimited)
    return;
  const nanoseconds when = std::max(now, to_ns(end) + nanoseconds(1));
  if (when >= interface_alarm_)
    return;
  interface_alarm_ = when;
  alarm_at<&network::on_interface_alarm>(when);
}

void network::on_interface_alarm() {
  const nanoseconds now = time_.now();
  const std::lock_guard guard(mutex_);
  interface_alarm_ = nanoseconds::max();
  for (const peer_id peer : model_.finish(to_s(now))) {
    auto& queue = queues_.at(peer);
    const request_id id = queue.front();
    queue.pop_front();
    fly(id, pending_.at(id), now + to_ns(link_to(peer).latency_s));
    if (!queue.empty())
      begin_next(peer, now);
  }
  arm_interface(now);
}

void network::arm_deadlines() {
  const nanoseconds first = deadlines_.begin()->first;
  if (first >= deadline_alarm_)
    return;
  deadline_alarm_ = first;
  alarm_at<&network::on_deadline_alarm>(first);
}

void network::on_deadline_alarm() {
  const nanoseconds now = time_.now();
  std::vector<request_id> late;
  {
    const std::lock_guard guard(mutex_);
    deadline_alarm_ = nanoseconds::max();
    for (const auto& [when, id] : deadlines_)
      if (when <= now)
        late.push_back(id);
  }
  for (const request_id id : late)
    give_up(id, errc::timed_out);
  const std::lock_guard guard(mutex_);
  if (!deadlines_.empty())
    arm_deadlines();
}

/// The emulated network has carried the message: the real one takes over.
void network::arrive(request_id id) {
  const bool late = [&] {
    const std::lock_guard guard(mutex_);
    const auto it = pending_.find(id);
    return it != pending_.end() && time_.now() > it->second.deadline;
  }();
  if (late)
    return give_up(id, errc::timed_out);
  transfer t;
  {
    const std::lock_guard guard(mutex_);
    const auto it = pending_.find(id);
    if (it == pending_.end())
      return;
    it->second.where = transfer::at::handed;
    t.to = it->second.to;
    t.header = std::move(it->second.header);
    t.payload = std::move(it->second.payload);
  }
  const request_id handed = inner().send(
      t.to, std::move(t.header), std::move(t.payload),
      [self = shared_from_this(), id](std::error_code code) { self->settle(id, code); });
  const std::lock_guard guard(mutex_);
  if (const auto it = pending_.find(id); it != pending_.end())
    it->second.inner = handed;
}

/// Takes a transfer out of everything; empty when it is gone already.
completion network::remove(request_id id, request_id& handed) {
  const auto it = pending_.find(id);
  if (it == pending_.end())
    return {};
  transfer t = std::move(it->second);
  pending_.erase(it);
  deadlines_.erase({t.deadline, id});
  handed = t.inner;
  if (t.where == transfer::at::interface) {
    auto& queue = queues_.at(t.to);
    const bool sending = queue.front() == id;
    std::erase(queue, id);
    if (sending) {
      const nanoseconds now = time_.now();
      model_.stop(t.to, to_s(now));
      if (!queue.empty())
        begin_next(t.to, now);
      arm_interface(now);
    }
  }
  return t.done ? std::move(t.done) : [](std::error_code) {};
}

void network::settle(request_id id, std::error_code code) {
  completion done;
  {
    const std::lock_guard guard(mutex_);
    request_id handed = 0;
    done = remove(id, handed);
  }
  if (done)
    done(code); // inside a callback of the wrapped endpoint
}

void network::give_up(request_id id, errc code) {
  completion done;
  request_id handed = 0;
  {
    const std::lock_guard guard(mutex_);
    done = remove(id, handed);
  }
  if (handed != 0)
    inner().cancel(handed);
  if (done)
    report(std::move(done), code);
}

template <class Predicate>
void network::give_up_if(Predicate concerned, errc code) {
  std::vector<request_id> ids;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, t] : pending_)
      if (concerned(t))
        ids.push_back(id);
  }
  for (const request_id id : ids)
    give_up(id, code);
}

} // namespace

std::unique_ptr<endpoint> make_emulated_endpoint(std::unique_ptr<endpoint> inner,
                                                 emulation_options options,
                                                 std::shared_ptr<timer> time) {
  auto side = std::make_shared<network>(std::move(inner), std::move(options), *time);
  return make_endpoint(std::move(side), std::move(time));
}

} // namespace skippipe::transport
