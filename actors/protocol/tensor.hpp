// What a tensor is on the wire: a descriptor beside bytes. No LibTorch here.
#pragma once

#include "transport/buffer.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <vector>

namespace skippipe::actors {

enum class element_type : std::uint8_t { none, float32, bfloat16, float64, int64 };

/// Bytes of one element; 0 for `none`.
constexpr std::size_t element_size(element_type type) {
  switch (type) {
    case element_type::float32:
      return 4;
    case element_type::bfloat16:
      return 2;
    case element_type::float64:
    case element_type::int64:
      return 8;
    case element_type::none:
      break;
  }
  return 0;
}

/// Type and shape of a payload; `none` means that there is no payload.
struct tensor_desc {
  element_type type = element_type::none;
  std::vector<std::int64_t> shape;

  /// Bytes of the described tensor; false where a dimension is negative or the product leaves
  /// 2^40 bytes: whatever a peer sends is checked before anything is allocated (R8).
  bool checked_bytes(std::uint64_t& bytes) const {
    constexpr std::uint64_t limit = std::uint64_t{1} << 40;
    if (shape.size() > 4 || static_cast<std::uint8_t>(type) > 4)
      return false;
    std::uint64_t total = element_size(type);
    for (auto extent : shape) {
      if (extent < 0 || (extent != 0 && total > limit / static_cast<std::uint64_t>(extent)))
        return false;
      total *= static_cast<std::uint64_t>(extent);
    }
    bytes = total;
    return true;
  }

  friend bool operator==(const tensor_desc&, const tensor_desc&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, tensor_desc& x) {
  return f(caf::meta::type_name("skippipe.tensor_desc"), x.type, x.shape);
}

/// A tensor in memory. Local to a process; crosses hosts only through a link.
struct payload {
  tensor_desc desc;
  transport::buffer data;

  bool empty() const { return desc.type == element_type::none; }
};

} // namespace skippipe::actors
