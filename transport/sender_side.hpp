// What endpoints share that hold messages back before another endpoint sends them.
#pragma once

#include "transport/errors.hpp"
#include "transport/timer.hpp"
#include "transport/transport.hpp"

namespace skippipe::transport {

/// The sender's side of a wrapped endpoint; what arrives passes through. Timer tasks may keep it alive,
/// so it must not own the timer, whose thread must not be the one that ends it.
class sender_side : public handler {
public:
  explicit sender_side(std::unique_ptr<endpoint> inner) : inner_(std::move(inner)) {}

  endpoint& inner() noexcept { return *inner_; }
  void set_owner(handler& h) noexcept { owner_ = &h; }

  virtual request_id send(peer_id to, std::vector<std::byte> header, buffer payload,
                          completion done, std::chrono::nanoseconds deadline) = 0;
  virtual void cancel(request_id id) = 0;
  /// Ends the messages to `peer`, or all, that the wrapped endpoint does not have yet, with `code`.
  virtual void give_up_peer(peer_id peer, errc code) = 0;
  virtual void give_up_all(errc code) = 0;

  buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer* offered) final;
  void on_message(peer_id from, std::span<const std::byte> header, buffer payload) final;
  void on_peer_lost(peer_id peer, std::error_code reason) final;

protected:
  /// Completions run as callbacks of the wrapped endpoint, so that they never run beside others.
  void report(completion done, std::error_code code);

private:
  const std::unique_ptr<endpoint> inner_;
  handler* owner_ = nullptr;
};

/// The endpoint that `side` and what it wraps make together.
std::unique_ptr<endpoint> make_endpoint(std::shared_ptr<sender_side> side,
                                        std::shared_ptr<timer> time);

} // namespace skippipe::transport
