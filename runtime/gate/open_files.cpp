#include "runtime/gate/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace skippipe::runtime::gate {

std::uint64_t raise_open_files(std::uint64_t most) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  const rlimit before = limit;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, most));
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before.rlim_cur;
}

} // namespace skippipe::runtime::gate
