// The interface every backend implements: messages between the nodes of a cluster.
//
// A message is a small header (the serialized actor message) and an optional payload (the bytes of
// a tensor) that travel together. The receiver names the payload's destination after seeing the
// header, so the bytes land where they will be used.
//
// Thread model
// - Every function of `endpoint` may be called from any thread, also from inside a callback, but an
//   endpoint must not be destroyed from inside one.
// - Callbacks (the handler's functions and completions) of one endpoint never run concurrently.
//   They run on the backend's progress thread. Loopback has none: a callback runs on a thread that
//   is inside `send`, `connect`, `disconnect` or `close` of some endpoint of the hub, before that
//   call returns (see loopback.hpp). So call these without holding a lock that a callback takes.
// - No lock of the transport is held during a callback. Callbacks must neither block nor throw;
//   they hand over to an actor and return. (`place` may throw std::bad_alloc: a refusal.)
//
// Guarantees
// - Messages from one endpoint to another arrive in the order of their `send` calls, each at most
//   once and whole; a canceled, timed-out or refused one is left out.
// - Every completion is called exactly once, perhaps before `send` returns, in no particular
//   order. Success means that the transport no longer needs the payload, not that the receiver
//   has it.
// - After `on_peer_lost(p)` nothing more is delivered from that connection, and every transfer
//   pending to `p` ends with an error. `p` may be connected again (a new life of that node).
#pragma once

#include "transport/buffer.hpp"
#include "transport/errors.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace skippipe::transport {

/// A node as the transport's user numbers it; unique among connected endpoints.
using peer_id = std::uint64_t;

/// One `send`; unique within an endpoint, never 0 and never reused.
using request_id = std::uint64_t;

/// Opaque bytes that another process hands to `connect`; exchanged by the caller.
using address = std::vector<std::byte>;

/// Checked on both sides before memory is touched (R8).
struct limits {
  std::size_t max_header = 64 * 1024;             ///< Bytes.
  std::size_t max_payload = std::size_t{4} << 30; ///< Bytes.
  std::size_t max_pending = 4096;                 ///< Transfers per endpoint not completed.
  std::chrono::nanoseconds deadline = std::chrono::seconds{60}; ///< Default per transfer.
};

/// Called once with the outcome of a transfer or of a `connect`.
using completion = std::function<void(std::error_code)>;

/// What an endpoint tells its owner. See the thread model above.
class handler {
public:
  virtual ~handler() = default;

  /// Names the destination of a payload of `size` > 0 bytes; an empty buffer refuses the message.
  /// `offered` is the sender's own immutable buffer where sender and receiver share memory
  /// (loopback), else null: returning `*offered` takes it over without a copy. Otherwise return
  /// memory that nothing else uses: until the transport drops its reference it may write there,
  /// even after the peer is lost.
  virtual buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
                       const buffer* offered) = 0;

  /// A whole message; `header` is valid during the call. `payload` is what `place` returned,
  /// filled, or empty for a message without payload.
  virtual void on_message(peer_id from, std::span<const std::byte> header, buffer payload) = 0;

  /// The connection to `peer` ended without `disconnect` here. Not called after a failed `connect`.
  virtual void on_peer_lost(peer_id peer, std::error_code reason) = 0;
};

/// One node's end of the data plane.
class endpoint {
public:
  virtual ~endpoint() = default;

  /// Starts receiving; `h` must outlive this endpoint or its `close`. Call once, before all else.
  virtual std::error_code listen(handler& h) = 0;

  /// How others reach this endpoint; valid after `listen`.
  virtual address local_address() const = 0;

  /// Makes `peer` reachable. `done` may be empty; sends may follow at once, they wait for the
  /// connection and fail with it. Both sides connect; a backend with two-way connections (tls,
  /// loopback) also sends to a peer that has only dialed in.
  virtual void connect(peer_id peer, const address& where, completion done = {}) = 0;

  /// Ends the connection; pending transfers fail with `canceled`. The peer sees `on_peer_lost`.
  virtual void disconnect(peer_id peer) = 0;

  /// Sends one message. The payload's bytes must not change until `done` is called. `deadline`
  /// zero means the default of `limits`.
  virtual request_id send(peer_id to, std::vector<std::byte> header, buffer payload,
                          completion done, std::chrono::nanoseconds deadline = {}) = 0;

  /// Gives a transfer up: it completes with `canceled` unless it already has an outcome. The
  /// message may still arrive.
  virtual void cancel(request_id request) = 0;

  /// Runs `task` as a callback of this endpoint, so never beside another one. False, and not run,
  /// before `listen` and after `close`.
  virtual bool post(std::function<void()> task) = 0;

  /// Ends everything: pending transfers fail with `closed`, peers see `on_peer_lost`. When it
  /// returns, no callback runs or will run. Called from inside a callback it returns at once, and
  /// the last completions follow. Idempotent; a later `send` completes with `closed` within itself.
  virtual void close() = 0;
};

} // namespace skippipe::transport
