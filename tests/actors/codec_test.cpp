// Wire messages: every type survives the trip, and nothing malformed gets through (R8).
#include "actors/protocol/codec.hpp"
#include "actors/undelivered.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace skippipe;
using namespace skippipe::actors;

namespace {

/// One of each type, no field at its default.
std::vector<wire_message> samples() {
  const scheduler::path path{3, 1, {{2, 7}, {1, 5}}};
  const tensor_desc tensor{element_type::bfloat16, {2, 3, 4}};
  node_plan plan{4, 1, 6, 3, {2, 5}, {{3, scheduler::task_kind::loss, 1, 50, 60}}, {path}};
  microbatch work{9, 3, 1, 4, pass::evaluate, 1, path.hops, 2, 77, tensor};
  return {work,
          credit{9, 1, 4, 3},
          gradient_chunk{9, 1, true, 2, 64, 78, tensor},
          assign{2, 1, 8, "runs/a/checkpoints/step-00000008"},
          set_plan{2, plan},
          proceed{2, 10, 4},
          commit{2, 9, 1, 0.25, true, true, 10, 4},
          replay{2, 9, 2},
          evaluate{2, 5, {path}},
          stop{2},
          ready{5, 1, 9, 0xdeadbeef, {1.5, 2.5, 3.5}},
          losses{5, 9, 1, {3}, {1.5}, {64}},
          reduced{5,
                  1,
                  9,
                  1,
                  {0.5, std::numeric_limits<double>::infinity()},
                  {3},
                  0.75,
                  {1, 2, 3},
                  {{6, -0.5, 1e9}}},
          evaluated{5, 5, {3}, {1.25}, {64}},
          snapshot_done{5, 1, 9, "disk full"},
          failed{5, "why"},
          snapshot_now{3, 9},
          unreachable{5, 6, 9, 2, pass::evaluate, "why"}};
}

} // namespace

TEST_CASE("every message survives encoding", "[actors][codec]") {
  const auto all = samples();
  REQUIRE(all.size() == std::variant_size_v<wire_message>);
  for (const auto& message : all) {
    INFO(name_of(message));
    const auto bytes = encode(5, message);
    std::string problem;
    const auto back = decode(bytes, &problem);
    REQUIRE(problem == "");
    REQUIRE(back);
    CHECK(back->from == 5);
    REQUIRE(back->message.index() == message.index());
    CHECK(encode(5, back->message) == bytes); // Every field, for no field is at its default.
  }
}

TEST_CASE("truncated, lengthened and foreign bytes are refused", "[actors][codec][R8]") {
  for (const auto& message : samples()) {
    INFO(name_of(message));
    auto bytes = encode(5, message);
    for (std::size_t n = 0; n < bytes.size(); ++n)
      CHECK_FALSE(decode(std::span{bytes}.first(n)));
    bytes.push_back(std::byte{0});
    CHECK_FALSE(decode(bytes));
  }
  auto bytes = encode(5, stop{1});
  bytes[0] ^= std::byte{1};
  CHECK_FALSE(decode(bytes));
  bytes[0] ^= std::byte{1};
  bytes[3] = std::byte{200};
  CHECK_FALSE(decode(bytes));
}

TEST_CASE("flipped bits never crash the decoder", "[actors][codec][R8]") {
  for (const auto& message : samples()) {
    const auto bytes = encode(5, message);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      auto damaged = bytes;
      damaged[bit / 8] ^= std::byte{1} << (bit % 8);
      if (const auto back = decode(damaged)) // What is let through can be used and sent on.
        REQUIRE(decode(encode(back->from, back->message)));
    }
  }
}

TEST_CASE("what did not reach a peer is reported for its attempt", "[actors][codec]") {
  for (const auto& message : samples()) {
    INFO(name_of(message));
    const auto report = report_of(5, 7, message, "reset");
    REQUIRE(report.has_value() == (message.index() < 3)); // What nodes send each other.
    if (!report)
      continue;
    CHECK(report->node == 5);
    CHECK(report->peer == 7);
    CHECK(report->iteration == 9);
    CHECK(report->attempt == 1);
    CHECK((report->mode == pass::evaluate) == (message.index() == 0));
    CHECK(report->reason == "reset");
  }
}

TEST_CASE("impossible measurements are refused", "[actors][codec][R8]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double endless = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, endless, -1.0}) {
    CHECK_FALSE(decode(encode(5, ready{5, 1, 9, 1, {bad, 0, 0}})));
    CHECK_FALSE(decode(encode(5, reduced{5, 1, 9, 1, {}, {}, 1, {0, 0, bad}, {}})));
    CHECK_FALSE(decode(encode(5, reduced{5, 1, 9, 1, {}, {}, 1, {}, {{6, 0, bad}}})));
  }
  CHECK_FALSE(decode(encode(5, reduced{5, 1, 9, 1, {}, {}, 1, {}, {{6, nan, 1}}})));
  CHECK(decode(encode(5, reduced{5, 1, 9, 1, {}, {}, 1, {}, {{6, -1, 1}}})));
}

TEST_CASE("impossible fields are refused", "[actors][codec][R8]") {
  microbatch work;
  work.hops = {{1, 2}};
  work.step = 5; // Past the end of F F L B B.
  CHECK_FALSE(decode(encode(0, work)));
  work.step = 1;
  work.tensor = {element_type::float32, {std::int64_t{1} << 40, 1 << 20}};
  CHECK_FALSE(decode(encode(0, work)));
  work.tensor = {element_type::float32, {-1}};
  CHECK_FALSE(decode(encode(0, work)));
  CHECK_FALSE(decode(encode(0, losses{0, 1, 0, {1, 2}, {0.5}, {3}})));
  gradient_chunk chunk;
  chunk.offset = -1;
  CHECK_FALSE(decode(encode(0, chunk)));
}
