#include "runtime/daemon/introduction.hpp"

#include <unistd.h>

#include <fstream>

namespace skippipe::runtime::daemon {

namespace {

std::uint64_t memory_of_machine() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES))
         * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// "vendor model stepping": results are bit-equal only between equal ones (R12).
std::string cpu_kind() {
  std::ifstream file{"/proc/cpuinfo"};
  std::string line, name;
  while (name.empty() && std::getline(file, line))
    if (line.rfind("model name", 0) == 0)
      name = line.substr(line.find(':') + 2);
  return name.empty() ? "unknown" : name;
}

} // namespace

join_request introduction_of(const node_config& node) {
  join_request me;
  me.cluster = node.cluster;
  me.name = node.name;
  me.token = node.token;
  me.device = node.device;
  me.cpu = cpu_kind();
  me.backend = node.data_backend;
  me.wire_dtype = node.wire_dtype;
  me.sealed = node.sealed;
  me.location = node.emulation.location.empty() ? node.location : node.emulation.location;
  me.memory_bytes = memory_of_machine();
  me.memory_microbatches = node.memory_microbatches;
  const auto& e = node.emulation;
  me.emulation = {e.compute_s, e.time_scale, e.payload_bytes, e.sync_bytes};
  me.pid = static_cast<std::uint64_t>(::getpid());
  return me;
}

} // namespace skippipe::runtime::daemon
