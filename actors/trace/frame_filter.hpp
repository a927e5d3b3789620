// Leaves events out of a trace file's bytes without a reader of the events noticing.
#pragma once

#include "actors/trace/file.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace skippipe::trace {

/// Appends to `out` the frames of `bytes`, a piece of a trace file that begins at a frame or where the
/// last call stopped, with those events only that `filter` keeps; what is damaged stays as it is, so
/// that a reader counts it. `last`: the file ends with `bytes`. Returns how many bytes are done with;
/// the rest, less than one frame, belongs to the next piece.
std::size_t filter_frames(std::span<const std::byte> bytes, bool last, const event_filter& filter,
                          std::vector<std::byte>& out);

} // namespace skippipe::trace
