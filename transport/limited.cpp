#include "transport/limited.hpp"

#include "transport/sender_side.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace skippipe::transport {
namespace {

using std::chrono::nanoseconds;

/// Ids of sends that were held back; the wrapped endpoint's own count from 1.
constexpr request_id own_ids = request_id{1} << 62;

/// The rate may have changed meanwhile.
constexpr nanoseconds look_again = std::chrono::milliseconds{500};

/// In place of the wrapped endpoint's id, which is not known yet.
constexpr request_id canceled_meanwhile = ~request_id{0};

struct waiting {
  request_id id = 0;
  peer_id to = 0;
  std::vector<std::byte> header;
  buffer payload;
  completion done;
  nanoseconds deadline{};
};

class gate final : public sender_side, public std::enable_shared_from_this<gate> {
public:
  gate(std::unique_ptr<endpoint> inner, std::shared_ptr<token_bucket> bucket, timer& time,
       const limits& bounds)
      : sender_side(std::move(inner)), bucket_(std::move(bucket)), time_(time), bounds_(bounds) {}

  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  nanoseconds deadline) override;
  void cancel(request_id id) override;
  void give_up_peer(peer_id peer, errc code) override {
    give_up_if([peer](const waiting& m) { return m.to == peer; }, code);
  }
  void give_up_all(errc code) override {
    give_up_if([](const waiting&) { return true; }, code);
  }

private:
  void arm(nanoseconds when);
  void let_out();
  void hand_over(waiting message, nanoseconds now);
  template <class Predicate>
  void give_up_if(Predicate concerned, errc code);

  const std::shared_ptr<token_bucket> bucket_;
  timer& time_;
  const limits bounds_;

  std::mutex mutex_; ///< Guards the rest; never held while calling out, but for `timer::at`.
  std::deque<waiting> queue_;
  bool letting_out_ = false; ///< Someone hands over what has waited; nobody may overtake it.
  request_id last_ = own_ids;
  std::map<request_id, request_id> handed_; ///< Own id to the wrapped endpoint's.
  nanoseconds alarm_ = nanoseconds::max();
};

request_id gate::send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                      nanoseconds deadline) {
  const auto now = time_.now();
  request_id id = 0;
  {
    std::unique_lock guard{mutex_};
    const auto wait = bucket_->wait(now);
    if (queue_.empty() && !letting_out_ && wait.count() == 0) {
      // Calls at the same time have no order among them, so nobody else need wait for this one.
      bucket_->take(static_cast<double>(header.size() + payload.size()), now);
      guard.unlock();
      return inner().send(to, std::move(header), std::move(payload), std::move(done), deadline);
    }
    id = ++last_;
    if (queue_.size() < bounds_.max_pending) {
      const auto until = now + (deadline.count() == 0 ? bounds_.deadline : deadline);
      queue_.push_back({id, to, std::move(header), std::move(payload), std::move(done), until});
      arm(std::min(now + std::min(wait, look_again), until));
      return id;
    }
  }
  report(std::move(done), errc::too_many_pending);
  return id;
}

void gate::arm(nanoseconds when) {
  if (when >= alarm_)
    return;
  alarm_ = when;
  time_.at(when, [weak = weak_from_this(), when] {
    const auto self = weak.lock();
    if (!self)
      return;
    {
      const std::lock_guard guard{self->mutex_};
      if (self->alarm_ == when)
        self->alarm_ = nanoseconds::max();
    }
    self->let_out();
  });
}

/// Hands over what may leave, ends what is too late, sets the next alarm.
void gate::let_out() {
  const auto now = time_.now();
  give_up_if([now](const waiting& m) { return m.deadline <= now; }, errc::timed_out);
  std::unique_lock guard{mutex_};
  if (letting_out_)
    return; // Whoever does will look at the queue again.
  letting_out_ = true;
  while (!queue_.empty() && bucket_->wait(now).count() == 0) {
    auto message = std::move(queue_.front());
    queue_.pop_front();
    bucket_->take(static_cast<double>(message.header.size() + message.payload.size()), now);
    guard.unlock();
    hand_over(std::move(message), now);
    guard.lock();
  }
  letting_out_ = false;
  if (queue_.empty())
    return;
  auto next = now + std::min(bucket_->wait(now), look_again);
  for (const auto& message : queue_)
    next = std::min(next, message.deadline);
  arm(next);
}

void gate::hand_over(waiting message, nanoseconds now) {
  const auto id = message.id;
  {
    const std::lock_guard guard{mutex_};
    handed_[id] = 0;
  }
  const auto sent = inner().send(
      message.to, std::move(message.header), std::move(message.payload),
      [self = shared_from_this(), id, done = std::move(message.done)](std::error_code code) {
        {
          const std::lock_guard guard{self->mutex_};
          self->handed_.erase(id);
        }
        if (done)
          done(code);
      },
      message.deadline - now);
  std::unique_lock guard{mutex_};
  const auto found = handed_.find(id);
  if (found == handed_.end())
    return; // It has its outcome.
  const bool unwanted = std::exchange(found->second, sent) == canceled_meanwhile;
  guard.unlock();
  if (unwanted)
    inner().cancel(sent);
}

void gate::cancel(request_id id) {
  if ((id & own_ids) == 0)
    return inner().cancel(id);
  request_id sent = 0;
  {
    const std::lock_guard guard{mutex_};
    if (const auto found = handed_.find(id); found != handed_.end()) {
      if (found->second == 0)
        found->second = canceled_meanwhile;
      sent = found->second;
    }
  }
  if (sent == canceled_meanwhile)
    return;
  if (sent != 0)
    return inner().cancel(sent);
  give_up_if([id](const waiting& m) { return m.id == id; }, errc::canceled);
}

template <class Predicate>
void gate::give_up_if(Predicate concerned, errc code) {
  std::vector<completion> told;
  {
    const std::lock_guard guard{mutex_};
    std::erase_if(queue_, [&](waiting& message) {
      if (!concerned(message))
        return false;
      told.push_back(std::move(message.done));
      return true;
    });
  }
  for (auto& done : told)
    report(std::move(done), code);
}

} // namespace

std::unique_ptr<endpoint> make_limited_endpoint(std::unique_ptr<endpoint> inner,
                                                std::shared_ptr<token_bucket> bucket,
                                                std::shared_ptr<timer> time, const limits& bounds) {
  auto side = std::make_shared<gate>(std::move(inner), std::move(bucket), *time, bounds);
  return make_endpoint(std::move(side), std::move(time));
}

} // namespace skippipe::transport
