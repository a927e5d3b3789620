#include "transport/threaded_endpoint.hpp"

namespace skippipe::transport {

std::error_code threaded_endpoint::start(handler& h, progress_thread::hooks hooks) {
  owner_ = &h;
  return thread_.start(std::move(hooks));
}

void threaded_endpoint::connect(peer_id peer, const address& where, completion done) {
  auto held = std::make_shared<completion>(std::move(done));
  const bool posted = thread_.post([this, peer, where, held] {
    auto report = [held](std::error_code code) {
      if (*held)
        (*held)(code);
    };
    closing_ ? report(errc::closed) : do_connect(peer, where, report);
  });
  if (!posted && *held)
    (*held)(errc::closed);
}

void threaded_endpoint::disconnect(peer_id peer) {
  thread_.post([this, peer] {
    if (closing_)
      return;
    do_disconnect(peer);
    settle_peer(peer, errc::canceled);
  });
}

request_id threaded_endpoint::send(peer_id to, std::vector<std::byte> header, buffer payload,
                                   completion done, std::chrono::nanoseconds deadline) {
  const request_id id = ++last_request_;
  std::error_code problem;
  if (header.size() > bounds_.max_header)
    problem = errc::header_too_large;
  else if (payload.size() > bounds_.max_payload)
    problem = errc::payload_too_large;
  if (pending_.fetch_add(1) >= bounds_.max_pending && !problem)
    problem = errc::too_many_pending;
  if (problem) {
    --pending_;
    fail_now(std::move(done), problem);
    return id;
  }
  const auto until =
      progress_thread::clock::now() + (deadline.count() == 0 ? bounds_.deadline : deadline);
  struct parcel {
    outgoing message;
    completion done;
  };
  auto p = std::make_shared<parcel>(
      parcel{{id, to, std::move(header), std::move(payload)}, std::move(done)});
  const bool posted =
      thread_.post([this, p, until] { accept(std::move(p->message), std::move(p->done), until); });
  if (!posted) {
    --pending_;
    if (p->done)
      p->done(errc::closed);
  }
  return id;
}

void threaded_endpoint::fail_now(completion done, std::error_code code) {
  if (!done)
    return;
  auto held = std::make_shared<completion>(std::move(done));
  if (!thread_.post([held, code] { (*held)(code); }))
    (*held)(errc::closed);
}

void threaded_endpoint::accept(outgoing message, completion done,
                               progress_thread::clock::time_point deadline) {
  const request_id id = message.id;
  const peer_id to = message.to;
  entry& e = book_[id];
  e.to = to;
  e.done = std::move(done);
  e.timer = thread_.at(deadline, [this, id, to] {
    do_abandon(id, to);
    settle(id, errc::timed_out);
  });
  if (closing_)
    settle(id, errc::closed);
  else
    do_send(std::move(message));
}

void threaded_endpoint::cancel(request_id request) {
  thread_.post([this, request] {
    const auto it = book_.find(request);
    if (it == book_.end())
      return;
    do_abandon(request, it->second.to);
    settle(request, errc::canceled);
  });
}

void threaded_endpoint::settle(request_id id, std::error_code code) {
  const auto it = book_.find(id);
  if (it == book_.end())
    return;
  const completion done = std::move(it->second.done);
  thread_.cancel(it->second.timer);
  book_.erase(it);
  --pending_;
  if (done)
    done(code);
}

template <class Predicate>
void threaded_endpoint::settle_if(Predicate concerned, std::error_code code) {
  std::vector<request_id> ids; // completions may change the book
  for (const auto& [id, e] : book_)
    if (concerned(e))
      ids.push_back(id);
  for (const request_id id : ids)
    settle(id, code);
}

void threaded_endpoint::settle_peer(peer_id peer, std::error_code code) {
  settle_if([peer](const entry& e) { return e.to == peer; }, code);
}

void threaded_endpoint::lose(peer_id peer, std::error_code reason) {
  settle_peer(peer, errc::peer_lost);
  if (owner_ != nullptr)
    owner_->on_peer_lost(peer, reason);
}

void threaded_endpoint::close() {
  auto silence = [this] {
    closing_ = true;
    owner_ = nullptr;
  };
  if (thread_.on_thread())
    silence(); // not one more message, although the rest has to wait until the callback ends
  thread_.post([this, silence] {
    if (std::exchange(shut_down_, true))
      return;
    silence();
    settle_if([](const entry&) { return true; }, errc::closed);
    do_shutdown();
  });
  if (thread_.on_thread())
    return;
  const std::lock_guard guard(joining_);
  thread_.join();
}

} // namespace skippipe::transport
