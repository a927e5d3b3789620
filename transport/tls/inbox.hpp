// Puts the frames of a channel's streams together into messages. Pure: no sockets, no clock.
#pragma once

#include "transport/tls/frames.hpp"

#include <array>
#include <map>

namespace skippipe::transport::tls {

/// What the inbox tells and asks its channel.
class inbox_sink {
public:
  virtual ~inbox_sink() = default;
  /// As `handler::place`; an empty buffer refuses.
  virtual buffer place(std::span<const std::byte> header, std::size_t size) = 0;
  virtual void deliver(std::span<const std::byte> header, buffer payload) = 0;
  /// To be sent to the peer: its message was refused.
  virtual void refuse(std::uint64_t sequence) = 0;
  /// The peer refused ours.
  virtual void refused(std::uint64_t sequence) = 0;
};

/// Usage per stream: read bytes into `room`, tell `filled`, repeat. An empty room means that the
/// stream must wait for stream 0, where the message is announced that its next bytes belong to.
class inbox {
public:
  inbox(const limits& bounds, unsigned streams, inbox_sink& sink);

  std::span<std::byte> room(unsigned stream);

  /// `n` bytes, at most the room's size, were put there. An error means a peer that does not keep
  /// to the protocol; the inbox must not be used any more.
  std::error_code filled(unsigned stream, std::size_t n);

private:
  struct message {
    std::vector<std::byte> header;
    buffer payload;
    std::size_t size = 0;
    std::size_t left = 0;     ///< Bytes of payload not here yet.
    std::vector<bool> chunks; ///< Begun ones; the same chunk never comes twice.
    bool dropped = false;     ///< Refused here or aborted by the sender.
    std::uint32_t aborts = 0; ///< Bit per stream.
  };
  enum class reading { frame, header, chunk };
  struct lane {
    reading state = reading::frame;
    std::array<std::byte, frame_size> head{};
    std::size_t done = 0; ///< Bytes of what is being read.
    frame current;
    bool waiting = false; ///< `current` belongs to a message not announced yet.
    std::vector<std::byte> header;
  };

  std::error_code begin(unsigned stream, const frame& f);
  std::error_code begin_chunk(lane& l, const frame& f);
  void announce(lane& l);
  void abort(unsigned stream, const frame& f);
  void deliver_ready();
  bool finished(const message& m) const;

  const limits bounds_;
  const std::uint32_t all_streams_;
  inbox_sink& sink_;
  std::vector<lane> lanes_;
  std::map<std::uint64_t, message> messages_;
  std::uint64_t next_announced_ = 0;
  std::uint64_t next_delivered_ = 0;
  std::vector<std::byte> scratch_; ///< Bytes nobody wants.
};

} // namespace skippipe::transport::tls
