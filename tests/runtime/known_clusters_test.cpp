// Keys are found by whatever name the cluster's host has.
#include "runtime/daemon/known_clusters.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace skippipe::runtime;

TEST_CASE("keys are looked up by address", "[daemon][keys]") {
  const testing::scratch_folder scratch;
  ::setenv("XDG_STATE_HOME", scratch.path().c_str(), 1);
  const auto keys = scratch.path() / "keys";
  daemon::remember_cluster("127.0.0.1:7001", keys);
  CHECK(daemon::keys_of_cluster("127.0.0.1:7001") == keys);
  CHECK(daemon::keys_of_cluster("localhost:7001") == keys);
  CHECK(daemon::keys_of_cluster("localhost:7002").empty());
  CHECK(daemon::keys_of_cluster("127.0.0.2:7001").empty());
  CHECK(daemon::keys_of_cluster("no-such-host.invalid:7001").empty());
  daemon::remember_cluster("localhost:7003", keys);
  CHECK(daemon::keys_of_cluster("127.0.0.1:7003") == keys);
  daemon::forget_cluster("127.0.0.1:7001");
  CHECK(daemon::keys_of_cluster("localhost:7001").empty());
}
