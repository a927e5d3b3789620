// One-time join tokens: used once, by one name, before they expire, whatever crashes.
#include "runtime/security/handles.hpp"
#include "runtime/security/token_store.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

using namespace skippipe::runtime::security;
using skippipe::runtime::testing::scratch_folder;
using namespace std::chrono_literals;

namespace {

const token_store::clock::time_point now{std::chrono::seconds{1'800'000'000}};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

TEST_CASE("a token admits one node once", "[token]") {
  const scratch_folder at;
  token_store store{at / "journal"};
  const auto token = store.create(1h, now);
  CHECK(token.size() == 32);
  CHECK(store.unused(now) == 1);
  CHECK_THAT(store.admit("a", "", now), Catch::Contains("brings no token"));
  CHECK_THAT(store.admit("a", token + "x", now), Catch::Contains("not known here"));
  const auto before = text_of(at / "journal" / "tokens.log");
  CHECK_THAT(store.obstacle("a", "", now), Catch::Contains("brings no token"));
  CHECK(store.obstacle("a", token, now) == "");
  CHECK(text_of(at / "journal" / "tokens.log") == before); // To ask changes nothing.
  CHECK(store.admit("a", token, now) == "");
  CHECK_THAT(store.obstacle("b", token, now), Catch::Contains("used before"));
  CHECK(store.obstacle("a", "", now) == "");
  CHECK(store.unused(now) == 0);
  CHECK_THAT(store.admit("b", token, now), Catch::Contains("used before"));
  CHECK(store.admit("a", "", now + 10h) == ""); // a restart of the same node needs none
  store.forget("a");
  CHECK_THAT(store.admit("a", token, now), Catch::Contains("used before"));
  CHECK_THROWS_AS(store.admit("a b", token, now), key_error);
}

TEST_CASE("who joined before the first token was made needs none", "[token]") {
  const scratch_folder at;
  token_store store{at / "journal"};
  CHECK(store.admit("early", "", now) == "");
  CHECK(store.admit("early", "", now) == "");
  store.create(1h, now);
  CHECK_THAT(store.admit("late", "", now), Catch::Contains("brings no token"));
  CHECK(token_store{at / "journal"}.admit("early", "", now) == "");
  store.forget("early");
  CHECK_THAT(store.admit("early", "", now), Catch::Contains("brings no token"));
}

TEST_CASE("a token expires", "[token]") {
  const scratch_folder at;
  token_store store{at / "journal"};
  const auto token = store.create(60s, now);
  CHECK(store.unused(now + 59s) == 1);
  CHECK(store.unused(now + 60s) == 0);
  CHECK_THAT(store.admit("a", token, now + 60s), Catch::Contains("has expired"));
  CHECK(store.admit("a", token, now + 59s) == "");
}

TEST_CASE("the store outlives its process and holds no token in clear", "[token]") {
  const scratch_folder at;
  std::string used, unused;
  {
    token_store store{at / "journal"};
    used = store.create(1h, now);
    unused = store.create(1h, now);
    CHECK(store.admit("a", used, now) == "");
  }
  const auto file = at / "journal" / "tokens.log";
  CHECK(text_of(file).find(used) == std::string::npos);
  CHECK(text_of(file).find(unused) == std::string::npos);
  struct stat info {};
  ::stat(file.c_str(), &info);
  CHECK((info.st_mode & 077) == 0);
  token_store again{at / "journal"};
  CHECK(again.unused(now) == 1);
  CHECK(again.admit("a", "", now) == "");
  CHECK_THAT(again.admit("b", used, now), Catch::Contains("used before"));
  CHECK(again.admit("b", unused, now) == "");
}

TEST_CASE("a write that was cut off counts for nothing", "[token]") {
  const scratch_folder at;
  const auto file = at / "journal" / "tokens.log";
  std::string token;
  {
    token_store store{at / "journal"};
    token = store.create(1h, now);
    CHECK(store.admit("a", token, now) == "");
  }
  const auto whole = text_of(file);
  const auto second = whole.find('\n') + 1;
  for (auto size = second; size < whole.size(); ++size) {
    std::filesystem::resize_file(file, size);
    {
      token_store store{at / "journal"};
      CHECK(store.unused(now) == 1);
      CHECK_THAT(store.admit("a", "", now), Catch::Contains("brings no token"));
      CHECK(store.admit("a", token, now) == "");
    }
    CHECK(text_of(file) == whole);
  }
  std::ofstream(file, std::ios::app) << "nonsense\n";
  CHECK_THROWS_WITH(token_store{at / "journal"}, Catch::Contains("tokens.log"));
}

TEST_CASE("stores on one file see each other", "[token]") {
  const scratch_folder at;
  token_store scheduler{at / "journal"};
  token_store command{at / "journal"};
  const auto token = command.create(1h, now);
  CHECK(scheduler.admit("a", token, now) == "");
  CHECK_THAT(command.admit("b", token, now), Catch::Contains("used before"));

  // One token, many who want it at the same moment: exactly one gets in.
  const auto wanted = command.create(1h, now);
  std::atomic<int> admitted{0};
  std::vector<std::thread> nodes;
  for (int i = 0; i < 8; ++i)
    nodes.emplace_back([&, i] {
      token_store mine{at / "journal"};
      admitted += mine.admit("node-" + std::to_string(i), wanted, now).empty();
    });
  for (auto& node : nodes)
    node.join();
  CHECK(admitted == 1);
}

TEST_CASE("tokens differ", "[token]") {
  const scratch_folder at;
  token_store store{at / "journal"};
  std::set<std::string> all;
  for (int i = 0; i < 50; ++i)
    all.insert(store.create(1h, now));
  CHECK(all.size() == 50);
  std::set<char> letters;
  for (const auto& token : all)
    letters.insert(token.begin(), token.end());
  CHECK(letters.size() == 32);
}
