#include "transport/tls/inbox.hpp"

#include <algorithm>

namespace skippipe::transport::tls {
namespace {

/// No honest sender has so many messages announced and not finished.
constexpr std::uint64_t horizon = 4096;

} // namespace

inbox::inbox(const limits& bounds, unsigned streams, inbox_sink& sink)
    : bounds_(bounds), all_streams_((1u << streams) - 1), sink_(sink), lanes_(streams) {}

std::span<std::byte> inbox::room(unsigned stream) {
  lane& l = lanes_[stream];
  if (l.waiting) {
    if (l.current.sequence >= next_announced_)
      return {};
    l.waiting = false;
    if (begin(stream, l.current)) {
      l.waiting = true; // `filled` reports it
      return l.head;
    }
  }
  switch (l.state) {
    case reading::frame:
      return std::span(l.head).subspan(l.done);
    case reading::header:
      return std::span(l.header).subspan(l.done);
    case reading::chunk:
      break;
  }
  const std::size_t rest = l.current.length - l.done;
  const auto it = messages_.find(l.current.sequence);
  if (it != messages_.end() && !it->second.dropped)
    return it->second.payload.bytes().subspan(l.current.value + l.done, rest);
  if (scratch_.empty())
    scratch_.resize(64 * 1024);
  return std::span(scratch_).first(std::min(rest, scratch_.size()));
}

std::error_code inbox::filled(unsigned stream, std::size_t n) {
  lane& l = lanes_[stream];
  if (l.waiting)
    return errc::malformed;
  l.done += n;
  switch (l.state) {
    case reading::frame: {
      if (l.done < frame_size)
        return {};
      l.done = 0;
      const auto f = decode_frame(l.head);
      return f ? begin(stream, *f) : errc::malformed;
    }
    case reading::header:
      if (l.done == l.header.size())
        announce(l);
      return {};
    case reading::chunk: {
      message& m = messages_.at(l.current.sequence);
      m.left -= n;
      if (l.done == l.current.length) {
        l.state = reading::frame;
        l.done = 0;
      }
      if (m.left == 0) {
        if (m.dropped && l.current.sequence < next_delivered_ && finished(m))
          messages_.erase(l.current.sequence);
        deliver_ready();
      }
      return {};
    }
  }
  return errc::malformed;
}

std::error_code inbox::begin(unsigned stream, const frame& f) {
  lane& l = lanes_[stream];
  l.current = f;
  switch (f.kind) {
    case frame_kind::message:
      if (stream != 0 || f.sequence != next_announced_ || messages_.size() >= horizon
          || f.length > bounds_.max_header || f.value > bounds_.max_payload)
        return errc::malformed;
      l.header.resize(f.length);
      l.state = reading::header;
      if (f.length == 0)
        announce(l);
      return {};
    case frame_kind::refuse:
      if (stream != 0)
        return errc::malformed;
      sink_.refused(f.sequence);
      return {};
    case frame_kind::chunk:
    case frame_kind::abort:
      if (f.sequence >= next_announced_) {
        // Stream 0 is never behind itself, and announcements are not that far behind.
        if (stream == 0 || f.sequence - next_announced_ >= horizon)
          return errc::malformed;
        l.waiting = true;
        return {};
      }
      if (f.kind == frame_kind::chunk)
        return begin_chunk(l, f);
      abort(stream, f);
      return {};
  }
  return errc::malformed;
}

std::error_code inbox::begin_chunk(lane& l, const frame& f) {
  const auto it = messages_.find(f.sequence);
  if (it == messages_.end())
    return errc::malformed;
  message& m = it->second;
  const std::size_t index = f.value / chunk_size;
  if (index >= m.chunks.size() || m.chunks[index])
    return errc::malformed;
  const std::size_t expected = std::min<std::size_t>(chunk_size, m.size - f.value);
  if (f.length != expected || (m.aborts & 1u << (&l - lanes_.data())) != 0)
    return errc::malformed;
  m.chunks[index] = true;
  l.state = reading::chunk;
  return {};
}

void inbox::announce(lane& l) {
  message& m = messages_[next_announced_++];
  m.header = std::move(l.header);
  m.size = m.left = l.current.value;
  m.chunks.resize((m.size + chunk_size - 1) / chunk_size);
  l.header = {};
  l.state = reading::frame;
  l.done = 0;
  if (m.size > 0) {
    m.payload = sink_.place(m.header, m.size);
    if (m.payload.size() != m.size) {
      m.dropped = true;
      m.header = {};
      m.payload = {};
      sink_.refuse(next_announced_ - 1);
    }
  }
  deliver_ready();
}

void inbox::abort(unsigned stream, const frame& f) {
  const auto it = messages_.find(f.sequence);
  if (it == messages_.end())
    return; // refused here and complete before the sender heard of it
  it->second.dropped = true;
  it->second.header = {};
  it->second.aborts |= 1u << stream;
  if (it->first < next_delivered_ && finished(it->second))
    messages_.erase(it);
  deliver_ready();
}

/// Nothing of a dropped message will come any more.
bool inbox::finished(const message& m) const { return m.left == 0 || m.aborts == all_streams_; }

void inbox::deliver_ready() {
  for (;;) {
    const auto it = messages_.find(next_delivered_);
    if (it == messages_.end() || (!it->second.dropped && it->second.left > 0))
      return;
    ++next_delivered_;
    if (!it->second.dropped) {
      const message m = std::move(it->second);
      messages_.erase(it);
      sink_.deliver(m.header, m.payload);
    } else if (finished(it->second)) {
      messages_.erase(it);
    }
  }
}

} // namespace skippipe::transport::tls
