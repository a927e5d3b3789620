#include "actors/protocol/codec.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>

#include <array>
#include <cmath>
#include <utility>

namespace skippipe::actors {

namespace {

constexpr std::uint16_t magic = 0x5350;
constexpr std::uint8_t wire_version = 3;

constexpr std::array names = {
    "microbatch", "credit",    "gradient_chunk", "assign", "set_plan",     "proceed",
    "commit",     "replay",    "evaluate",       "stop",   "ready",        "losses",
    "reduced",    "evaluated", "snapshot_done",  "failed", "snapshot_now", "unreachable"};
static_assert(names.size() == std::variant_size_v<wire_message>);

template <std::size_t I = 0>
bool decode_kind(std::size_t kind, caf::binary_deserializer& source, wire_message& out) {
  if constexpr (I < std::variant_size_v<wire_message>) {
    if (kind == I) {
      std::variant_alternative_t<I, wire_message> value;
      if (source(value))
        return false;
      out = std::move(value);
      return true;
    }
    return decode_kind<I + 1>(kind, source, out);
  }
  return false;
}

bool well_formed(const task_seconds& x) {
  for (const double seconds : {x.forward_s, x.loss_s, x.backward_s})
    if (!std::isfinite(seconds) || seconds < 0)
      return false;
  return true;
}

bool well_formed(const link_sample& x) {
  return std::isfinite(x.delay_s) && std::isfinite(x.bandwidth_Bps) && x.bandwidth_Bps >= 0;
}

bool well_formed(const scheduler::path& x) { return x.hops.size() < 1024; }

/// What the types alone do not guarantee.
bool well_formed(const wire_message& message) {
  std::uint64_t bytes = 0;
  if (auto* mb = std::get_if<microbatch>(&message))
    return mb->hops.size() < 1024 && mb->step <= mb->last_step() && mb->mode <= pass::evaluate
           && mb->tensor.checked_bytes(bytes);
  if (auto* report = std::get_if<unreachable>(&message))
    return report->mode <= pass::evaluate;
  if (auto* chunk = std::get_if<gradient_chunk>(&message))
    return chunk->offset >= 0 && chunk->tensor.checked_bytes(bytes);
  if (auto* x = std::get_if<set_plan>(&message)) {
    for (auto& task : x->plan.order)
      if (task.kind > scheduler::task_kind::backward || task.id >= x->plan.microbatches)
        return false;
    for (auto& p : x->plan.paths)
      if (!well_formed(p))
        return false;
    return x->plan.memory > 0;
  }
  if (auto* x = std::get_if<evaluate>(&message)) {
    for (auto& p : x->paths)
      if (!well_formed(p))
        return false;
    return true;
  }
  if (auto* x = std::get_if<ready>(&message))
    return well_formed(x->costs);
  if (auto* x = std::get_if<reduced>(&message)) {
    for (const auto& sample : x->links)
      if (!well_formed(sample))
        return false;
    return well_formed(x->costs);
  }
  if (auto* x = std::get_if<losses>(&message))
    return x->ids.size() == x->loss_sums.size() && x->ids.size() == x->tokens.size();
  if (auto* x = std::get_if<evaluated>(&message))
    return x->ids.size() == x->loss_sums.size() && x->ids.size() == x->tokens.size();
  return true;
}

} // namespace

std::vector<std::byte> encode(node_id from, const wire_message& message) {
  std::vector<char> bytes;
  bytes.reserve(128);
  caf::binary_serializer sink{nullptr, bytes};
  auto tag = magic;
  auto version = wire_version;
  auto kind = static_cast<std::uint8_t>(message.index());
  // Serializing plain structs into memory has no way to fail.
  std::ignore = sink(tag, version, kind, from);
  std::visit([&](const auto& x) { std::ignore = sink(const_cast<std::decay_t<decltype(x)>&>(x)); },
             message);
  auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {first, first + bytes.size()};
}

std::optional<decoded> decode(std::span<const std::byte> bytes, std::string* problem) {
  auto refuse = [&](const char* why) -> std::optional<decoded> {
    if (problem != nullptr)
      *problem = why;
    return std::nullopt;
  };
  if (bytes.size() > max_message_bytes)
    return refuse("message too long");
  caf::binary_deserializer source{nullptr, reinterpret_cast<const char*>(bytes.data()),
                                  bytes.size()};
  std::uint16_t tag = 0;
  std::uint8_t version = 0, kind = 0;
  decoded result;
  if (source(tag, version, kind, result.from))
    return refuse("message header truncated");
  if (tag != magic)
    return refuse("not a skippipe message");
  if (version != wire_version)
    return refuse("another wire version");
  if (kind >= std::variant_size_v<wire_message>)
    return refuse("unknown message kind");
  if (!decode_kind(kind, source, result.message))
    return refuse("message truncated");
  if (source.remaining() != 0)
    return refuse("bytes after the message");
  if (!well_formed(result.message))
    return refuse("message with impossible fields");
  return result;
}

const tensor_desc* payload_desc(const wire_message& message) {
  if (auto* mb = std::get_if<microbatch>(&message))
    return &mb->tensor;
  if (auto* chunk = std::get_if<gradient_chunk>(&message))
    return &chunk->tensor;
  return nullptr;
}

const char* name_of(const wire_message& message) { return names[message.index()]; }

} // namespace skippipe::actors
