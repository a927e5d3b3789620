#include "transport/loopback.hpp"

#include "transport/placement.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

namespace skippipe::transport {
namespace {

using clock = std::chrono::steady_clock;

struct node;
using node_ptr = std::shared_ptr<node>;

/// A connection between two nodes; closed once, for both.
struct link {
  std::atomic<bool> open{true};
};
using link_ptr = std::shared_ptr<link>;

struct pending_transfer {
  request_id id = 0;
  peer_id to = 0;
  completion done;
  clock::time_point deadline;
  std::atomic<bool> settled{false}; ///< Someone has decided the outcome, or is delivering it.
  bool settle() { return !settled.exchange(true); }
};
using transfer_ptr = std::shared_ptr<pending_transfer>;

struct message {
  node_ptr from;
  link_ptr via;
  std::vector<std::byte> header;
  buffer payload;
  transfer_ptr tracked;
};
struct outcome { ///< Of a transfer (`tracked`) or of a connect (`done`).
  transfer_ptr tracked;
  completion done;
  std::error_code code;
};
struct lost {
  peer_id peer;
  std::error_code reason;
};
using event = std::variant<message, outcome, lost>;

struct remote {
  node_ptr target;
  link_ptr via;
  bool dialed = false; ///< This side called `connect`.
};

struct node {
  node(peer_id id, const limits& l) : self(id), bounds(l) {}

  const peer_id self;
  const limits bounds;

  std::mutex mutex; ///< Guards everything below.
  std::condition_variable idle;
  handler* owner = nullptr;
  bool closed = false;
  bool active = false; ///< A thread is running this node's callbacks.
  std::deque<event> inbox;
  std::map<peer_id, remote> peers;
  std::map<request_id, transfer_ptr> pending;
  request_id last_request = 0;
};

thread_local std::deque<node_ptr>* run_list = nullptr; ///< Set while this thread runs callbacks.

void tell(const node_ptr& to, event e);

void settle_as(const node_ptr& sender, const transfer_ptr& t, std::error_code code) {
  tell(sender, outcome{t, {}, code});
}

void process(const node_ptr& n, handler* owner, message& m) {
  if (!m.tracked->settle())
    return; // canceled, or its sender is gone
  std::error_code code;
  if (!m.via->open.load() || owner == nullptr)
    code = errc::peer_lost;
  else if (clock::now() > m.tracked->deadline)
    code = errc::timed_out;
  else if (m.header.size() > n->bounds.max_header)
    code = errc::header_too_large;
  else if (m.payload.size() > n->bounds.max_payload)
    code = errc::payload_too_large;
  else {
    buffer destination;
    if (!m.payload.empty()) {
      destination = ask_place(*owner, m.from->self, m.header, m.payload.size(), &m.payload);
      if (destination.empty())
        code = errc::refused;
      else if (destination.data() != m.payload.data())
        std::memcpy(destination.data(), m.payload.data(), m.payload.size());
    }
    if (!code)
      owner->on_message(m.from->self, m.header, std::move(destination));
  }
  m.payload = {};
  settle_as(m.from, m.tracked, code);
}

void process(const node_ptr& n, handler*, outcome& o) {
  if (o.tracked) {
    const std::lock_guard guard(n->mutex);
    n->pending.erase(o.tracked->id);
  }
  if (const completion& done = o.tracked ? o.tracked->done : o.done)
    done(o.code);
}

void process(const node_ptr&, handler* owner, lost& l) {
  if (owner != nullptr)
    owner->on_peer_lost(l.peer, l.reason);
}

/// Runs the callbacks waiting at `n`, unless another thread is at it.
void drain(const node_ptr& n) {
  std::unique_lock guard(n->mutex);
  if (n->active)
    return;
  n->active = true;
  while (!n->inbox.empty()) {
    event e = std::move(n->inbox.front());
    n->inbox.pop_front();
    handler* owner = n->closed ? nullptr : n->owner;
    guard.unlock();
    std::visit([&](auto& x) { process(n, owner, x); }, e);
    e = lost{}; // releases what the event held, outside the lock
    guard.lock();
  }
  n->active = false;
  n->idle.notify_all();
}

/// Drains `n`, or leaves it to the outermost call on this thread.
void run(const node_ptr& n) {
  if (run_list != nullptr) {
    if (run_list->empty() || run_list->back() != n)
      run_list->push_back(n);
    return;
  }
  std::deque<node_ptr> mine{n};
  run_list = &mine;
  for (; !mine.empty(); mine.pop_front())
    drain(node_ptr(mine.front()));
  run_list = nullptr;
}

void tell(const node_ptr& to, event e) {
  {
    const std::lock_guard guard(to->mutex);
    to->inbox.push_back(std::move(e));
    if (to->active)
      return;
    if (to->closed)
      to->idle.notify_all();
  }
  run(to);
}

address to_address(peer_id id) {
  address bytes(sizeof id);
  std::memcpy(bytes.data(), &id, sizeof id);
  return bytes;
}

} // namespace

struct loopback_detail::hub_state {
  std::mutex mutex; ///< Guards `nodes`, and every change of who is connected to whom.
  std::map<peer_id, node_ptr> nodes;

  /// Takes `peer` from `n`'s peers and closes the connection.
  std::optional<remote> unlink(const node_ptr& n, peer_id peer) {
    std::optional<remote> found;
    const std::lock_guard guard(n->mutex);
    if (auto it = n->peers.find(peer); it != n->peers.end()) {
      found = std::move(it->second);
      n->peers.erase(it);
      found->via->open = false;
    }
    return found;
  }
};

namespace {

using loopback_detail::hub_state;

class loopback_endpoint final : public endpoint {
public:
  loopback_endpoint(std::shared_ptr<hub_state> hub, peer_id self, const limits& bounds)
      : hub_(std::move(hub)), node_(std::make_shared<node>(self, bounds)) {}

  ~loopback_endpoint() override { close(); }

  std::error_code listen(handler& h) override {
    const std::lock_guard guard(hub_->mutex);
    const std::lock_guard node_guard(node_->mutex);
    if (node_->closed)
      return errc::closed;
    if (!hub_->nodes.emplace(node_->self, node_).second)
      return errc::setup_failed; // a second life while the first still runs, or a second call
    node_->owner = &h;
    return {};
  }

  address local_address() const override { return to_address(node_->self); }

  void connect(peer_id peer, const address& where, completion done) override {
    tell(node_, outcome{nullptr, std::move(done), try_connect(peer, where)});
  }

  void disconnect(peer_id peer) override {
    std::optional<remote> mine;
    {
      const std::lock_guard guard(hub_->mutex);
      mine = hub_->unlink(node_, peer);
      if (mine)
        hub_->unlink(mine->target, node_->self);
    }
    if (!mine)
      return;
    fail_pending(errc::canceled, [&](const pending_transfer& t) { return t.to == peer; });
    tell(mine->target, lost{node_->self, errc::peer_lost});
  }

  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  std::chrono::nanoseconds deadline) override {
    auto t = std::make_shared<pending_transfer>();
    t->to = to;
    t->done = std::move(done);
    const limits& bounds = node_->bounds;
    t->deadline = clock::now() + (deadline.count() == 0 ? bounds.deadline : deadline);
    std::error_code problem;
    remote via;
    {
      const std::lock_guard guard(node_->mutex);
      t->id = ++node_->last_request;
      if (node_->closed)
        problem = errc::closed;
      else if (header.size() > bounds.max_header)
        problem = errc::header_too_large;
      else if (payload.size() > bounds.max_payload)
        problem = errc::payload_too_large;
      else if (node_->pending.size() >= bounds.max_pending)
        problem = errc::too_many_pending;
      else if (auto it = node_->peers.find(to); it == node_->peers.end())
        problem = errc::unknown_peer;
      else {
        via = it->second;
        node_->pending.emplace(t->id, t);
      }
    }
    const request_id id = t->id;
    if (problem)
      settle_as(node_, t, problem);
    else
      tell(via.target,
           message{node_, via.via, std::move(header), std::move(payload), std::move(t)});
    return id;
  }

  void cancel(request_id request) override {
    fail_pending(errc::canceled, [&](const pending_transfer& t) { return t.id == request; });
  }

  bool post(std::function<void()> task) override {
    {
      const std::lock_guard guard(node_->mutex);
      if (node_->closed || node_->owner == nullptr)
        return false;
    }
    tell(node_, outcome{nullptr, [run = std::move(task)](std::error_code) { run(); }, {}});
    return true;
  }

  void close() override {
    std::map<peer_id, remote> peers;
    {
      const std::lock_guard guard(hub_->mutex);
      {
        const std::lock_guard node_guard(node_->mutex);
        if (!std::exchange(node_->closed, true) && node_->owner != nullptr)
          hub_->nodes.erase(node_->self);
        peers.swap(node_->peers);
      }
      for (auto& [id, other] : peers) {
        other.via->open = false;
        hub_->unlink(other.target, node_->self);
      }
    }
    fail_pending(errc::closed, [](const pending_transfer&) { return true; });
    for (auto& [id, other] : peers)
      tell(other.target, lost{node_->self, errc::peer_lost});
    if (run_list != nullptr)
      return; // inside a callback: the rest follows when it ends
    for (;;) {
      run(node_);
      std::unique_lock guard(node_->mutex);
      node_->idle.wait(guard, [&] {
        return !node_->active && (!node_->inbox.empty() || node_->pending.empty());
      });
      if (node_->inbox.empty())
        return; // and nothing is being delivered that would complete later
    }
  }

private:
  std::error_code try_connect(peer_id peer, const address& where) {
    if (!where.empty() && where != to_address(peer))
      return errc::bad_address;
    const std::lock_guard guard(hub_->mutex);
    const auto found = hub_->nodes.find(peer);
    {
      const std::lock_guard node_guard(node_->mutex);
      if (node_->closed)
        return errc::closed;
      if (auto it = node_->peers.find(peer); it != node_->peers.end())
        return std::exchange(it->second.dialed, true) ? make_error_code(errc::already_connected)
                                                      : std::error_code{};
      if (found == hub_->nodes.end() || found->second == node_)
        return errc::unreachable;
    }
    const auto via = std::make_shared<link>();
    attach(node_, remote{found->second, via, true});
    attach(found->second, remote{node_, via, false});
    return {};
  }

  static void attach(const node_ptr& n, remote other) {
    const std::lock_guard guard(n->mutex);
    const peer_id peer = other.target->self;
    n->peers.insert_or_assign(peer, std::move(other));
  }

  template <class Predicate>
  void fail_pending(errc code, Predicate concerned) {
    std::vector<transfer_ptr> failed;
    {
      const std::lock_guard guard(node_->mutex);
      for (const auto& [id, t] : node_->pending)
        if (concerned(*t) && t->settle())
          failed.push_back(t);
    }
    for (const auto& t : failed)
      settle_as(node_, t, code);
  }

  std::shared_ptr<hub_state> hub_;
  node_ptr node_;
};

} // namespace

loopback_hub::loopback_hub() : state_(std::make_shared<hub_state>()) {}

std::unique_ptr<endpoint> loopback_hub::make_endpoint(peer_id self, const limits& bounds) const {
  return std::make_unique<loopback_endpoint>(state_, self, bounds);
}

} // namespace skippipe::transport
