// Initial values: a pure function of (seed, tensor name), whatever the partition.
#pragma once

#include <cstdint>

namespace skippipe::model {

/// Element `index` of a standard normal stream named by `key`: counter-based, so any part of a
/// tensor can be filled anywhere.
double normal_at(std::uint64_t key, std::uint64_t index);

} // namespace skippipe::model
