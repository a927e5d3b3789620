// What the conformance suite asks of the backend under test; each test program defines one.
#pragma once

#include "transport/transport.hpp"

#include <memory>
#include <string>

namespace skippipe::transport::testing {

/// A fresh world in which endpoints can reach one another.
class world {
public:
  virtual ~world() = default;
  virtual std::unique_ptr<endpoint> make(peer_id self, const limits& bounds = {}) = 0;
  /// Starts a process that echoes (peer_main.cpp); only of backends that cross processes.
  virtual std::vector<std::string> peer_command(peer_id) { return {}; }
};

/// Defined once per test program.
std::unique_ptr<world> make_world();

/// The largest payload of the ordinary suite; SKIPPIPE_TEST_MAX_PAYLOAD (bytes) overrides it.
std::size_t largest_payload();

} // namespace skippipe::transport::testing
