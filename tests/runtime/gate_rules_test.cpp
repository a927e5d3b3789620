// The rules of the gate, each by itself.
#include "runtime/gate/message_filter.hpp"
#include "runtime/gate/refusal_log.hpp"
#include "runtime/gate/waiting_room.hpp"

#include "gate_world.hpp"

#include <deque>
#include <set>

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;

TEST_CASE("the waiting room sends away the silent and the oldest", "[gate][rules]") {
  gate::waiting_room room(4, 3);
  CHECK(room.enter(1, "a") == 0);
  CHECK(room.enter(2, "a") == 0);
  room.spoke(1);
  CHECK(room.enter(3, "a") == 0);
  CHECK(room.enter(4, "a") == 2); // the oldest that has said nothing
  room.leave(2);
  CHECK(room.enter(5, "b") == 0);
  CHECK(room.enter(6, "c") == 3); // the room is full: the same over all sources
  room.leave(3);
  CHECK(room.size() == 4);
  room.spoke(4);
  room.spoke(5);
  room.spoke(6);
  CHECK(room.enter(7, "d") == 1); // all speak: the oldest
  room.leave(1);
  room.leave(99);
  CHECK(room.holds(7));
  CHECK_FALSE(room.holds(1));
}

TEST_CASE("refusals are written once and then summed up", "[gate][rules]") {
  std::vector<std::string> lines;
  gate::refusal_log log([&](std::string_view line) { lines.emplace_back(line); }, 60s);
  const gate::refusal_log::clock::time_point t{};
  for (int i = 0; i < 1000; ++i)
    log.refuse("10.0.0.9", "silence", t);
  log.refuse("10.0.0.9", "noise", t);
  log.refuse("10.0.0.8", "noise", t);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "refused 10.0.0.9: silence");
  log.sum_up(t + 59s);
  CHECK(lines.size() == 3);
  log.sum_up(t + 60s);
  REQUIRE(lines.size() == 4);
  CHECK(lines[3] == "refused 10.0.0.9 999 more times: silence");
  log.sum_up(t + 120s);
  log.refuse("10.0.0.9", "silence", t + 121s);
  CHECK(lines.size() == 5); // news again
  for (int i = 0; i < 5000; ++i)
    log.refuse("10.1." + std::to_string(i), "noise", t + 121s);
  CHECK(lines.size() < 1100);
  log.sum_up(t + 122s);
  CHECK_THAT(lines.back(), Catch::Contains("of further sources"));
}

TEST_CASE("heartbeats fit between messages only", "[gate][rules]") {
  gate::message_filter filter(1000);
  const auto accept = [&](const std::string& text) {
    return filter.accept(std::as_bytes(std::span(text)));
  };
  CHECK_FALSE(filter.between_messages()); // before the handshake
  REQUIRE(accept(handshake_header(3) + "he"));
  CHECK_FALSE(filter.between_messages());
  REQUIRE(accept("y"));
  CHECK(filter.between_messages());
  REQUIRE(accept("\2"));
  CHECK_FALSE(filter.between_messages());

  std::vector<std::byte> beats;
  for (int i = 0; i < 3; ++i) {
    const auto one = gate::heartbeat_message();
    beats.insert(beats.end(), one.begin(), one.end());
  }
  CHECK(gate::only_heartbeats(beats));
  for (std::size_t i = 0; i < beats.size(); ++i) {
    auto other = beats;
    other[i] ^= std::byte{1};
    CHECK_FALSE(gate::only_heartbeats(other));
    CHECK(gate::only_heartbeats(std::span(beats).first(i)) == (i % 32 == 0));
  }
}

TEST_CASE("the message filter follows any cutting of the stream", "[gate][rules]") {
  std::string stream = handshake_header(5) + "hello";
  for (int i = 0; i < 50; ++i) {
    auto header = handshake_header(static_cast<std::uint32_t>(i * 37));
    header[0] = static_cast<char>(i % 7);
    stream += header + std::string(static_cast<std::size_t>(i * 37), static_cast<char>(0xff));
  }
  const auto bytes = std::as_bytes(std::span(stream));
  for (std::size_t step : {1u, 7u, 32u, 33u, 1000u, 100'000u}) {
    gate::message_filter filter(50 * 37);
    bool fine = true;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      fine = fine && filter.accept(bytes.subspan(at, std::min(step, bytes.size() - at)));
    CHECK(fine);
  }
  const auto refused = [](const std::string& text) {
    gate::message_filter filter(1000);
    return !filter.accept(std::as_bytes(std::span(text)));
  };
  CHECK_FALSE(refused(handshake_header(1000)));
  CHECK(refused(handshake_header(1001)));
  CHECK(refused(handshake_header(0xffffffff)));
  auto first = handshake_header(0);
  first[0] = 2; // a message before the handshake
  CHECK(refused(first));
  auto second = handshake_header(0) + handshake_header(0);
  second[32] = 7; // no such operation
  CHECK(refused(second));
}
