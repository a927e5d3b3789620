// Addresses as text between a test and its child processes.
#pragma once

#include "transport/transport.hpp"

#include <string>

namespace skippipe::transport::testing {

inline std::string to_hex(const address& a) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : a) {
    text += digits[static_cast<unsigned>(b) >> 4];
    text += digits[static_cast<unsigned>(b) & 15];
  }
  return text;
}

inline address from_hex(const std::string& text) {
  address a;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    a.push_back(static_cast<std::byte>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return a;
}

} // namespace skippipe::transport::testing
