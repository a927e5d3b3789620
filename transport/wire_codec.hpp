// Reads and writes little-endian fields of fixed layouts. Reading never goes past the end.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace skippipe::transport {

/// Appends fields to a byte vector.
class field_writer {
public:
  explicit field_writer(std::vector<std::byte>& out) : out_(out) {}
  template <std::unsigned_integral T>
  field_writer& put(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      out_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }

private:
  std::vector<std::byte>& out_;
};

/// Takes fields from a view; after a short read `ok` is false and every field is 0.
class field_reader {
public:
  explicit field_reader(std::span<const std::byte> in) : in_(in) {}
  template <std::unsigned_integral T>
  T take() {
    if (in_.size() < sizeof(T)) {
      ok_ = false;
      in_ = {};
      return 0;
    }
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(in_[i]) << (8 * i)));
    in_ = in_.subspan(sizeof(T));
    return value;
  }
  bool ok() const noexcept { return ok_; }
  std::span<const std::byte> rest() const noexcept { return in_; }

private:
  std::span<const std::byte> in_;
  bool ok_ = true;
};

} // namespace skippipe::transport
