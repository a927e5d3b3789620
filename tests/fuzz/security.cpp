// What strangers and peers can send to the control plane and to sealed endpoints: the message filter in
// any cutting, sealed messages through a real endpoint, revocation lists and certificates in PEM. The
// first byte says which.
#include "runtime/config/interfaces.hpp"
#include "runtime/gate/message_filter.hpp"
#include "runtime/security/pem.hpp"
#include "runtime/security/revocations.hpp"

#include "transport/replay_window.hpp"
#include "transport/seal.hpp"
#include "transport/sealed.hpp"

#include <cstdlib>
#include <cstring>

using namespace skippipe;

namespace {

void must(bool holds) {
  if (!holds)
    std::abort();
}

/// Follows the stream bytewise; the filter must agree however the input is cut.
void feed_filter(std::span<const std::byte> in) {
  if (in.empty())
    return;
  const std::size_t step = 1 + std::to_integer<std::size_t>(in[0]);
  in = in.subspan(1);
  runtime::gate::message_filter whole(1000), cut(1000);
  const bool expected = whole.accept(in);
  bool got = true;
  for (std::size_t at = 0; got && at < in.size(); at += step)
    got = cut.accept(in.subspan(at, std::min(step, in.size() - at)));
  must(got == expected);
}

/// The wire of a sealed endpoint, which the fuzzer plays.
struct wire final : transport::endpoint {
  transport::handler* owner = nullptr;
  std::vector<transport::peer_id> disconnected;
  std::vector<std::byte> header;
  transport::buffer payload;
  std::error_code listen(transport::handler& h) override {
    owner = &h;
    return {};
  }
  transport::address local_address() const override { return {}; }
  void connect(transport::peer_id, const transport::address&, transport::completion) override {}
  void disconnect(transport::peer_id peer) override { disconnected.push_back(peer); }
  transport::request_id send(transport::peer_id, std::vector<std::byte> h, transport::buffer p,
                             transport::completion, std::chrono::nanoseconds) override {
    header = std::move(h);
    payload = std::move(p);
    return 1;
  }
  void cancel(transport::request_id) override {}
  bool post(std::function<void()> task) override {
    task();
    return true;
  }
  void close() override {}
};

struct receiver final : transport::handler {
  std::size_t messages = 0, lost = 0;
  transport::buffer place(transport::peer_id, std::span<const std::byte>, std::size_t size,
                          const transport::buffer*) override {
    return transport::buffer::allocate(size);
  }
  void on_message(transport::peer_id, std::span<const std::byte>, transport::buffer) override {
    ++messages;
  }
  void on_peer_lost(transport::peer_id, std::error_code) override { ++lost; }
};

/// Messages of a genuine sender, changed as the input says; only unchanged ones may arrive, once each.
void feed_sealed(std::span<const std::byte> in) {
  const auto make = [](transport::peer_id self, wire*& below) {
    auto inner = std::make_unique<wire>();
    below = inner.get();
    transport::sealed_options options;
    options.self = self;
    options.secret.assign(16, std::byte{5});
    return transport::make_sealed_endpoint(std::move(inner), options);
  };
  wire *out = nullptr, *into = nullptr;
  receiver nobody, got;
  const auto a = make(1, out), b = make(2, into);
  must(!a->listen(nobody) && !b->listen(got));
  a->connect(2, b->local_address());
  b->connect(1, a->local_address());
  std::size_t genuine = 0;
  while (in.size() >= 5 && got.lost == 0) {
    const auto verb = std::to_integer<unsigned>(in[0]) % 4;
    const auto at = std::to_integer<std::size_t>(in[1]) | std::to_integer<std::size_t>(in[2]) << 8;
    const auto mask = in[3];
    const auto size = std::to_integer<std::size_t>(in[4]);
    in = in.subspan(5);
    if (verb == 3) { // nothing genuine about it
      const auto n = std::min(size, in.size());
      into->owner->on_message(1, in.first(n), {});
      in = in.subspan(n);
      continue;
    }
    a->send(2, std::vector<std::byte>(size % 7), transport::buffer::allocate(size), {}, {});
    auto header = out->header;
    transport::buffer payload = out->payload;
    const auto total = header.size() + payload.size();
    const bool changed = verb == 1 && mask != std::byte{0};
    if (changed)
      (at % total < header.size() ? header[at % total]
                                  : payload.bytes()[at % total - header.size()]) ^= mask;
    genuine += !changed;
    const auto deliver = [&] {
      transport::buffer placed;
      if (!payload.empty()) {
        placed = into->owner->place(1, header, payload.size(), nullptr);
        if (placed.empty())
          return;
        std::memcpy(placed.data(), payload.data(), payload.size());
      }
      into->owner->on_message(1, header, placed);
    };
    deliver();
    if (verb == 2)
      deliver(); // a repetition
    must(got.messages == genuine);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::span in(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      feed_filter(in);
      break;
    case 1:
      feed_sealed(in);
      break;
    case 2:
      if (const auto prefix = transport::decode_seal(in))
        must(std::memcmp(encode(*prefix).data(), in.data(), transport::seal_prefix_size) == 0);
      break;
    case 3:
      try {
        const auto list = runtime::security::parse_crl(text, "fuzz");
        runtime::security::number_of(list.get());
      } catch (const runtime::security::key_error&) {
      }
      break;
    default:
      if (const auto prefix = runtime::address_prefix::parse(text))
        prefix->contains(text.substr(0, text.find('/')));
  }
  return 0;
}
