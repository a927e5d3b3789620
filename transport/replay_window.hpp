// Which counters of one sender have been seen.
#pragma once

#include <array>
#include <cstdint>

namespace skippipe::transport {

/// Accepts each counter once, in any order within `width` of the highest one; older ones count as
/// seen. Counters start at 1.
class replay_window {
public:
  static constexpr std::uint64_t width = 8192; ///< More than messages can overtake each other.

  bool seen(std::uint64_t counter) const {
    if (counter == 0 || counter + width <= highest_)
      return true;
    return counter <= highest_ && bit(counter);
  }
  /// False when it was seen before.
  bool accept(std::uint64_t counter) {
    if (seen(counter))
      return false;
    if (counter > highest_) {
      if (counter - highest_ >= width)
        bits_ = {};
      else
        for (auto c = highest_ + 1; c < counter; ++c)
          word(c) &= ~mask(c);
      highest_ = counter;
    }
    word(counter) |= mask(counter);
    return true;
  }

private:
  static std::uint64_t mask(std::uint64_t c) { return std::uint64_t{1} << (c % 64); }
  std::uint64_t& word(std::uint64_t c) { return bits_[c / 64 % bits_.size()]; }
  bool bit(std::uint64_t c) const { return (bits_[c / 64 % bits_.size()] & mask(c)) != 0; }

  std::uint64_t highest_ = 0;
  std::array<std::uint64_t, width / 64> bits_{};
};

} // namespace skippipe::transport
