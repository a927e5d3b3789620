// How a command is said again, to go on with what it has begun.
#pragma once

#include <string>
#include <string_view>

namespace skippipe::runtime {

/// As a shell takes it for one word.
inline std::string shell_word(std::string_view text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "@%+=:,./_-";
  if (!text.empty() && text.find_first_not_of(plain) == text.npos)
    return std::string{text};
  std::string word = "'";
  for (const char c : text)
    word += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return word + "'";
}

} // namespace skippipe::runtime
