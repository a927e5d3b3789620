// Initial values: a pure function of (seed, tensor name), whatever the partition.
#pragma once

#include <cstdint>
#include <string_view>

namespace skippipe::model {

/// FNV-1a of a name; stable on every platform.
std::uint64_t name_hash(std::string_view name);

/// Element `index` of a standard normal stream named by `key`: counter-based, so any part of a
/// tensor can be filled anywhere.
double normal_at(std::uint64_t key, std::uint64_t index);

} // namespace skippipe::model
