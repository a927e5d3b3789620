// Two connected endpoints of the backend under test.
#pragma once

#include "backend.hpp"
#include "recorder.hpp"

#include <catch2/catch.hpp>

#include <cstring>

namespace skippipe::transport::testing {

/// Two connected endpoints, 1 and 2.
struct pair_of_peers {
  explicit pair_of_peers(const limits& bounds_a = {}, const limits& bounds_b = {}) {
    a = w->make(1, bounds_a);
    b = w->make(2, bounds_b);
  }
  void connect() {
    REQUIRE_FALSE(a->listen(at_a));
    REQUIRE_FALSE(b->listen(at_b));
    outcomes connected;
    a->connect(2, b->local_address(), connected.as(0));
    b->connect(1, a->local_address(), connected.as(1));
    REQUIRE(connected.wait(2));
    REQUIRE_FALSE(connected.of(0));
    REQUIRE_FALSE(connected.of(1));
  }
  ~pair_of_peers() {
    a->close();
    b->close();
    CHECK_FALSE(at_a.overlapped);
    CHECK_FALSE(at_b.overlapped);
  }
  std::unique_ptr<world> w = make_world();
  recorder at_a, at_b;
  std::unique_ptr<endpoint> a, b;
};

inline bytes numbered(std::uint32_t n) {
  bytes header(sizeof n);
  std::memcpy(header.data(), &n, sizeof n);
  return header;
}
inline std::uint32_t number_of(std::span<const std::byte> header) {
  std::uint32_t n = 0;
  if (header.size() >= sizeof n)
    std::memcpy(&n, header.data(), sizeof n);
  return n;
}

} // namespace skippipe::transport::testing
