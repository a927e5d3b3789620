// The revocation list that a daemon goes by only ever grows newer, and only by the authority's word.
#include "runtime/security/authority.hpp"
#include "runtime/security/pem.hpp"
#include "runtime/security/revocation_keeper.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>

using namespace skippipe::runtime::security;
using skippipe::runtime::testing::scratch_folder;
namespace fs = std::filesystem;
using std::chrono::days;

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// An authority, and a node whose own files lie elsewhere.
struct keeper_world {
  keeper_world() : ca(authority::create(at / "ca", "lab", days{30})) {
    ca.issue("a", {}, days{9});
    ca.issue("b", {}, days{9});
    older = text_of(ca.revoked_file());
  }
  std::string revoke(const std::string& name) {
    ca.revoke(name);
    return text_of(ca.revoked_file());
  }
  void give(const std::string& text) { write_file(given, text, access::everyone); }
  revocation_keeper keeper() { return {ca.certificate_file(), given, own}; }

  const scratch_folder at;
  authority ca;
  std::string older;
  const fs::path given = at / "given.pem", own = at / "own.pem";
};

} // namespace

TEST_CASE("a peer's list is taken when it is newer, never when it is older", "[revoke]") {
  keeper_world world;
  auto keeper = world.keeper();
  CHECK(keeper.pem().empty()); // a cluster without any list
  CHECK(keeper.number() == 0);
  const auto newer = world.revoke("a");
  CHECK(keeper.take(newer));
  CHECK(keeper.pem() == newer);
  CHECK_FALSE(keeper.take(newer));
  CHECK_FALSE(keeper.take(world.older));
  CHECK(keeper.pem() == newer);
  CHECK(world.keeper().pem() == newer); // after a restart
}

TEST_CASE("a list of another authority is refused", "[revoke]") {
  keeper_world world;
  auto keeper = world.keeper();
  const auto good = world.revoke("a");
  REQUIRE(keeper.take(good));
  auto theirs = authority::create(world.at / "theirs", "lab", days{30});
  theirs.issue("a", {}, days{9});
  theirs.revoke("a");
  CHECK_THROWS_WITH(keeper.take(text_of(theirs.revoked_file())), Catch::Contains("did not sign"));
  CHECK_THROWS_AS(keeper.take("nonsense"), key_error);
  auto damaged = good;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  CHECK_THROWS_AS(keeper.take(damaged), key_error);
  CHECK(keeper.pem() == good);
}

TEST_CASE("the operator's file is followed, but not back", "[revoke]") {
  keeper_world world;
  world.give(world.older);
  auto keeper = world.keeper();
  CHECK(keeper.pem() == world.older);
  CHECK_FALSE(keeper.look());
  const auto newer = world.revoke("a");
  world.give(newer);
  CHECK(keeper.look());
  CHECK(keeper.pem() == newer);
  world.give(world.older);
  CHECK_THROWS_WITH(keeper.look(), Catch::Contains("older than the list in use"));
  CHECK_FALSE(keeper.look()); // told once
  world.give("nonsense");
  CHECK_THROWS_AS(keeper.look(), key_error);
  fs::remove(world.given);
  CHECK_FALSE(keeper.look());
  CHECK(keeper.pem() == newer);
  world.give(world.older);
  CHECK(world.keeper().pem() == newer); // after a restart
}

TEST_CASE("the list of an authority that was replaced is forgotten", "[revoke]") {
  keeper_world world;
  REQUIRE(world.keeper().take(world.revoke("a")));
  auto theirs = authority::create(world.at / "theirs", "lab", days{30});
  revocation_keeper keeper{theirs.certificate_file(), {}, world.own};
  CHECK(keeper.pem().empty());
}
