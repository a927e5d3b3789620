// Cuts messages into frames and deals them out to a channel's streams. Pure: no sockets, no clock.
#pragma once

#include "transport/threaded_endpoint.hpp"
#include "transport/tls/frames.hpp"

#include <deque>
#include <map>
#include <memory>

namespace skippipe::transport::tls {

/// Messages are announced in order on stream 0; chunks go to whichever stream asks next.
class outbox {
public:
  explicit outbox(unsigned streams) : control_(streams) {}

  struct sending;
  /// Bytes to write one after the other: `head`, then `body` (kept alive by `whole`).
  struct piece {
    std::vector<std::byte> head;
    std::span<const std::byte> body;
    std::shared_ptr<sending> whole; ///< Null for control frames.
  };

  void push(outgoing message);

  /// The next piece for `stream`; false when it has nothing to do now.
  bool next(unsigned stream, piece& out);

  /// The piece was written. The transfer that this completes, or 0.
  request_id written(const piece& p);

  /// Stops sending a message; the peer is told when it has heard of it.
  void abandon(request_id id);

  /// The peer refused a message. The transfer that this ends, or 0.
  request_id refused(std::uint64_t sequence);

  /// Tells the peer that we refuse its message.
  void refuse(std::uint64_t sequence);

  struct sending {
    outgoing message;
    std::uint64_t sequence = 0;
    std::size_t offset = 0; ///< Payload dealt out so far.
    unsigned unwritten = 0; ///< Pieces dealt out and not written.
    bool announced = false;
    bool stopped = false;
    bool dealt_out() const { return announced && offset == message.payload.size(); }
  };

private:
  using sending_ptr = std::shared_ptr<sending>;
  void stop(const sending_ptr& s);

  std::deque<sending_ptr> queue_;               ///< Not dealt out completely.
  std::map<std::uint64_t, sending_ptr> active_; ///< Announced and not completely written.
  std::vector<std::deque<frame>> control_;      ///< Per stream.
  std::uint64_t next_sequence_ = 0;
};

} // namespace skippipe::transport::tls
