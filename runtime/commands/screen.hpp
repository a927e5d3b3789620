// What a command shows over and over: on a terminal in place, elsewhere one after the other.
#pragma once

#include "runtime/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>

namespace skippipe::runtime {

/// Of the terminal that stdout is; 0 where it is none, or does not say.
inline std::size_t columns_of_terminal() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

class screen {
public:
  void draw(const std::string& text) {
    if (!redraws(STDOUT_FILENO)) {
      std::cout << text << std::flush;
      return;
    }
    winsize size{};
    const bool sized = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    const std::size_t most_rows = sized && size.ws_row > 0 ? size.ws_row - 1u : 10'000;
    const std::size_t width = sized && size.ws_col > 0 ? size.ws_col : 10'000;
    std::string shown;
    if (rows_ > 0)
      shown = "\r\x1b[" + std::to_string(rows_) + "A\x1b[J";
    rows_ = 0;
    // Nothing may wrap or scroll out, or the way back up would be unknown.
    for (std::size_t begin = 0; begin < text.size() && rows_ < most_rows; ++rows_) {
      const auto end = std::min(text.find('\n', begin), text.size());
      shown += text.substr(begin, std::min(end - begin, width)) + '\n';
      begin = end + 1;
    }
    std::cout << shown << std::flush;
  }

private:
  std::size_t rows_ = 0; ///< What is drawn, above the cursor.
};

} // namespace skippipe::runtime
