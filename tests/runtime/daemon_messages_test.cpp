// What daemons and clients say to each other survives the wire, and damaged bytes do no harm (R8).
#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/messages.hpp"

#include <caf/all.hpp>
#include <catch2/catch.hpp>

#include <random>

using namespace skippipe;
using namespace skippipe::runtime::daemon;

namespace {

struct world {
  world() {
    config.set("scheduler.max-threads", std::size_t{1});
    register_messages(config);
  }
  caf::actor_system_config config;
};

template <class T>
std::vector<char> bytes_of(caf::actor_system& system, const T& x) {
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  REQUIRE_FALSE(sink(const_cast<T&>(x)));
  return bytes;
}

template <class T>
bool read(caf::actor_system& system, const std::vector<char>& bytes, T& x) {
  caf::binary_deserializer source{system, bytes};
  return !source(x);
}

/// There and back equal; cut short refused; flipped bits read as something or refused.
template <class T>
void check(caf::actor_system& system, const T& x) {
  const auto bytes = bytes_of(system, x);
  T back;
  REQUIRE(read(system, bytes, back));
  CHECK(bytes_of(system, back) == bytes); // Every field, for none is at its default.
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    T cut;
    CHECK_FALSE(read(system, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)}, cut));
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    T other;
    if (read(system, damaged, other))
      bytes_of(system, other);
  }
  std::mt19937 random{11};
  for (int i = 0; i < 2000; ++i) {
    std::vector<char> noise(random() % 100);
    for (auto& byte : noise)
      byte = static_cast<char>(random() % 5 == 0 ? 0xff : random());
    T other;
    read(system, noise, other);
  }
}

} // namespace

TEST_CASE("messages of the control plane survive the wire and damage", "[daemon][codec][R8]") {
  world here;
  caf::actor_system system{here.config};
  const file_set set{"id", {{"a", 3, "x"}, {"b", 4, "y"}}};
  check(system, file_part_request{"s", "n", 7});
  check(system, file_part{"ab", "why"});
  check(system,
        session_open{3, 1, "f", "j", {"o"}, 4, {{1, 2, "n", "l", "a"}}, set, set, "s", "d"});
  check(system, copy_order{"j", set, {"k", "l"}});
  check(system, copy_report{"j", "s", "why"});
  check(system, session_opened{3, 1, "why"});
  check(system, session_message{3, 1, "ab"});
  check(system, session_peer_gone{3, 1});
  check(system, session_close{3});
  check(system, session_closed{3, 1, 5, 6});
  check(system, dismissal{"why"});
  check(system, revocation_list{"pem"});
  check(system, snapshot_part{3, 4, "n", 5, 6, "a"});
  check(system, trace_batch{3, 1, 4, 5, 6, "a"});
  check(system, join_answer{"no", true, 4, "c"});
  check(system, seed_request{2});
  check(system, clock_request{3, "n", -4, 5});
  check(system, probe_open{3, 1, 4, {{1, 2, "n", "l", "a"}}});
  check(system, probe_opened{3, 1, "why"});
  check(system, probe_pair{3, 1, 4, 5});
  check(system, probe_result{3, 1, 2, 4, 5, 6, "why"});
  check(system, probe_close{3});
  check(system, clock_answer{4});
  check(system, leave_request{"n", 2});
  check(system, answer{"t", "e"});
  check(system, command{1, "w", "n", 2.5});
  check(system, trace_list_request{1, "j"});
  check(system, trace_listing{"j", "e", 3, {{"trace/a.trace", 4, 5}}});
  check(system, trace_part_request{"j", "n", 1, 2, 3, 4, 5});
  check(system, trace_part{"a", 4, true, "e"});
  check(system, trace_pull{1, "j", "n", 2, 3});
  check(system, trace_events{"j", "e", "done", 4, 5, {"n"}, "ab"});
}

TEST_CASE("no word of CAF's own gets into what people read", "[daemon][R10]") {
  for (int code = 1; code < 80; ++code) {
    const auto text = plain_text(caf::make_error(static_cast<caf::sec>(code)));
    CAPTURE(text);
    CHECK(text.find('_') == std::string::npos);
    CHECK(text.find("sec") == std::string::npos);
  }
  CHECK(plain_text(caf::sec::cannot_connect_to_node) == "nobody listens there");
}
