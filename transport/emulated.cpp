#include "transport/emulated.hpp"

#include "transport/interface_model.hpp"

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

/// The emulated network of one node. Timer tasks keep it alive; it does not own the timer, whose
/// thread must not be the one that ends it.
class network : public handler, public std::enable_shared_from_this<network> {
public:
  network(std::unique_ptr<endpoint> inner, emulation_options options, timer& time)
      : inner_(std::move(inner)), options_(std::move(options)), time_(time),
        model_(options_.interface_Bps > 0 ? options_.interface_Bps : interface_model::unlimited) {}

  endpoint& inner() noexcept { return *inner_; }
  void set_owner(handler& h) noexcept { owner_ = &h; }

  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  nanoseconds deadline);
  void cancel(request_id id) { give_up(id, errc::canceled); }
  void give_up_all(errc code);
  void give_up_peer(peer_id peer, errc code);

  buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer* offered) override {
    return owner_->place(from, header, size, offered);
  }
  void on_message(peer_id from, std::span<const std::byte> header, buffer payload) override {
    owner_->on_message(from, header, std::move(payload));
  }
  void on_peer_lost(peer_id peer, std::error_code reason) override {
    give_up_peer(peer, errc::peer_lost);
    owner_->on_peer_lost(peer, reason);
  }

private:
  // With the mutex held.
  void enter_interface(request_id id, transfer& t, nanoseconds now);
  void begin_next(peer_id peer, nanoseconds now);
  void fly(request_id id, transfer& t, nanoseconds arrival);
  void arm_interface(nanoseconds now);
  void arm_deadlines();
  completion remove(request_id id, request_id& inner);
  emulated_link link_to(peer_id peer) const {
    return options_.link ? options_.link(peer) : emulated_link{};
  }

  // Without.
  void on_interface_alarm();
  void on_deadline_alarm();
  void arrive(request_id id);
  void settle(request_id id, std::error_code code);
  void give_up(request_id id, errc code);
  void report(completion done, std::error_code code);
  template <class Predicate>
  void give_up_if(Predicate concerned, errc code);
  template <void (network::*F)()>
  void alarm_at(nanoseconds when) {
    time_.at(when, [weak = weak_from_this()] {
      if (const auto self = weak.lock())
        ((*self).*F)();
    });
  }

  const std::unique_ptr<endpoint> inner_;
  const emulation_options options_;
  timer& time_;
  handler* owner_ = nullptr;

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
  const request_id inner = inner_->send(
      t.to, std::move(t.header), std::move(t.payload),
      [self = shared_from_this(), id](std::error_code code) { self->settle(id, code); });
  const std::lock_guard guard(mutex_);
  if (const auto it = pending_.find(id); it != pending_.end())
    it->second.inner = inner;
}

/// Takes a transfer out of everything; empty when it is gone already.
completion network::remove(request_id id, request_id& inner) {
  const auto it = pending_.find(id);
  if (it == pending_.end())
    return {};
  transfer t = std::move(it->second);
  pending_.erase(it);
  deadlines_.erase({t.deadline, id});
  inner = t.inner;
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
    request_id inner = 0;
    done = remove(id, inner);
  }
  if (done)
    done(code); // inside a callback of the wrapped endpoint
}

void network::give_up(request_id id, errc code) {
  completion done;
  request_id inner = 0;
  {
    const std::lock_guard guard(mutex_);
    done = remove(id, inner);
  }
  if (inner != 0)
    inner_->cancel(inner);
  if (done)
    report(std::move(done), code);
}

/// Completions run as callbacks of the wrapped endpoint, so that they never run beside others.
void network::report(completion done, std::error_code code) {
  if (!done)
    return;
  const auto held = std::make_shared<completion>(std::move(done));
  if (!inner_->post([held, code] { (*held)(code); }))
    (*held)(errc::closed);
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

void network::give_up_all(errc code) {
  give_up_if([](const transfer&) { return true; }, code);
}

void network::give_up_peer(peer_id peer, errc code) {
  give_up_if([peer](const transfer& t) { return t.to == peer; }, code);
}

class emulated_endpoint final : public endpoint {
public:
  emulated_endpoint(std::unique_ptr<endpoint> inner, emulation_options options,
                    std::shared_ptr<timer> time)
      : time_(std::move(time)),
        network_(std::make_shared<network>(std::move(inner), std::move(options), *time_)) {}
  ~emulated_endpoint() override { close(); }

  std::error_code listen(handler& h) override {
    network_->set_owner(h);
    return network_->inner().listen(*network_);
  }
  address local_address() const override { return network_->inner().local_address(); }
  void connect(peer_id peer, const address& where, completion done) override {
    network_->inner().connect(peer, where, std::move(done));
  }
  void disconnect(peer_id peer) override {
    // The wrapped endpoint first: else a transfer could arrive after one before it was given up.
    network_->inner().disconnect(peer);
    network_->give_up_peer(peer, errc::canceled);
  }
  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  nanoseconds deadline) override {
    return network_->send(to, std::move(header), std::move(payload), std::move(done), deadline);
  }
  void cancel(request_id request) override { network_->cancel(request); }
  bool post(std::function<void()> task) override { return network_->inner().post(std::move(task)); }
  void close() override {
    network_->inner().close(); // First, as in disconnect.
    network_->give_up_all(errc::closed);
  }

private:
  std::shared_ptr<timer> time_; ///< Ends last: its thread may still be in a task of the network.
  std::shared_ptr<network> network_;
};

} // namespace

std::unique_ptr<endpoint> make_emulated_endpoint(std::unique_ptr<endpoint> inner,
                                                 emulation_options options,
                                                 std::shared_ptr<timer> time) {
  return std::make_unique<emulated_endpoint>(std::move(inner), std::move(options), std::move(time));
}

} // namespace skippipe::transport
