#include "runtime/engine_launcher.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string_view>

namespace skippipe::runtime {

bool needs_engine(int argc, char** argv) {
  if (argc < 2)
    return false;
  const std::string_view command = argv[1];
  constexpr std::array<std::string_view, 3> always = {"node", "eval", "generate"};
  if (std::find(always.begin(), always.end(), command) != always.end())
    return true;
  if (command != "train")
    return false;
  // On a cluster others compute.
  const char* cluster = std::getenv("SKIPPIPE_CLUSTER");
  return (cluster == nullptr || *cluster == 0)
         && std::none_of(argv + 2, argv + argc, [](std::string_view word) {
              return word == "--cluster" || word.starts_with("--cluster=");
            });
}

int exec_engine(char** argv) {
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"})
    ::setenv(name, "1", 0);
  // UCX would otherwise print stack traces from signal handlers of its own.
  ::setenv("UCX_HANDLE_ERRORS", "none", 0);
  ::setenv("UCX_ERROR_SIGNALS", "", 0);
  // Nor may it hook mmap in a process that never asked for it.
  ::setenv("UCX_MEM_EVENTS", "no", 0);
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  const auto engine = self.parent_path() / "skippipe-engine";
  ::execv(engine.c_str(), argv);
  std::cerr << "skippipe: " << engine.string() << " cannot be started: " << std::strerror(errno)
            << "; build it with ./tools/build\n";
  return 1;
}

} // namespace skippipe::runtime
