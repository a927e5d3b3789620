// What comes off a wire before anything is trusted: the tls inbox fed in arbitrary pieces, greetings,
// relay messages, and the prefixes and addresses of ucx. The first byte says which.
#include "transport/tls/inbox.hpp"
#include "transport/tls/relay_wire.hpp"
#include "transport/ucx/wire.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace skippipe::transport;

namespace {

void must(bool holds) {
  if (!holds)
    std::abort();
}

struct sink final : tls::inbox_sink {
  limits bounds;
  std::size_t placed = 0, delivered = 0;
  buffer place(std::span<const std::byte> header, std::size_t size) override {
    must(header.size() <= bounds.max_header && size > 0 && size <= bounds.max_payload);
    ++placed;
    return placed % 3 == 0 ? buffer{} : buffer::allocate(size);
  }
  void deliver(std::span<const std::byte> header, buffer payload) override {
    must(header.size() <= bounds.max_header && payload.size() <= bounds.max_payload);
    ++delivered;
  }
  void refuse(std::uint64_t) override {}
  void refused(std::uint64_t) override {}
};

/// The input is read as (stream, count, bytes...) pieces, or, so that frames are met at all, as a
/// compact form of frames that the fuzzer can vary field by field.
void feed_inbox(std::span<const std::byte> in) {
  constexpr unsigned streams = 3;
  sink s;
  s.bounds.max_header = 64;
  s.bounds.max_payload = 600 * 1024;
  tls::inbox box(s.bounds, streams, s);
  const auto give = [&](unsigned stream, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto room = box.room(stream);
      if (room.empty())
        return true; // waits for stream 0; a real one would not read on
      const std::size_t n = std::min(room.size(), bytes.size());
      std::memcpy(room.data(), bytes.data(), n);
      if (box.filled(stream, n))
        return false;
      bytes = bytes.subspan(n);
    }
    return true;
  };
  while (in.size() >= 6) {
    const auto stream = static_cast<unsigned>(in[0]) % streams;
    const auto verb = static_cast<unsigned>(in[1]) % 6;
    tls::frame f;
    f.sequence = static_cast<std::uint64_t>(in[2]) % 8;
    const auto amount = static_cast<std::uint32_t>(in[3]) << 8 | static_cast<std::uint32_t>(in[4]);
    const auto count = std::min<std::size_t>(static_cast<std::size_t>(in[5]), in.size() - 6);
    std::vector<std::byte> bytes;
    if (verb == 0) {
      bytes.assign(in.begin() + 6, in.begin() + 6 + static_cast<std::ptrdiff_t>(count));
    } else {
      f.kind = static_cast<tls::frame_kind>(verb == 5 ? 2 : verb);
      if (f.kind == tls::frame_kind::message) {
        f.length = static_cast<std::uint32_t>(count % 70);
        f.value = amount * 16;
        bytes = encode(f);
        bytes.resize(bytes.size() + f.length);
      } else if (f.kind == tls::frame_kind::chunk) {
        f.length = verb == 5 ? tls::chunk_size : amount * 4;
        f.value = static_cast<std::uint64_t>(in[5]) % 4 * tls::chunk_size;
        bytes = encode(f);
        bytes.resize(bytes.size() + f.length);
      } else {
        bytes = encode(f);
      }
    }
    in = in.subspan(6 + (verb == 0 ? count : 0));
    if (!give(stream, bytes))
      return;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::span in(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      feed_inbox(in);
      break;
    case 1:
      if (const auto g = tls::decode_greeting(in))
        must(std::ranges::equal(encode(*g), in));
      if (const auto f = tls::decode_frame(in))
        must(std::ranges::equal(encode(*f), in));
      break;
    case 2:
      if (const auto p = ucx::decode_prefix(in))
        must(std::ranges::equal(encode(*p), in.first(ucx::prefix_size)));
      break;
    case 3:
      if (const auto m = tls::decode_relay_message(in))
        must(std::ranges::equal(encode(*m), in));
      if (const auto a =
              tls::parse_relay_address({reinterpret_cast<const char*>(in.data()), in.size()}))
        must(tls::parse_relay_address(a->text())->node == a->node);
      break;
    default:
      if (const auto a = ucx::decode_address(in))
        must(std::ranges::equal(encode(*a), in));
  }
  return 0;
}
