#include "runtime/output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace skippipe::runtime {

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n'
            << std::flush;
}

std::string output_problem() {
  std::cout.flush();
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0 && std::cout)
    return {};
  if (flushed) { // What failed is gone, and its reason with it: another byte meets it again.
    std::putc('\n', stdout);
    errno = 0;
    std::fflush(stdout);
  }
  const int why = errno;
  return std::string("standard output cannot be written: ")
         + (why != 0 ? std::strerror(why) : "a part of it is lost");
}

} // namespace skippipe::runtime
