// Names in the order in which people count.
#pragma once

#include <string>
#include <utility>

namespace skippipe::runtime {

/// Numbers within names count as numbers: node-2 before node-10.
inline bool by_number(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto number = [&](const std::string& text, std::size_t& at) {
    std::string digits;
    for (; at < text.size() && digit(text[at]); ++at)
      if (!digits.empty() || text[at] != '0')
        digits += text[at];
    return std::pair{digits.size(), digits};
  };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size())
    if (digit(a[i]) && digit(b[j])) {
      const auto x = number(a, i), y = number(b, j);
      if (x != y)
        return x < y;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i, ++j;
    }
  return a.size() - i < b.size() - j;
}

} // namespace skippipe::runtime
