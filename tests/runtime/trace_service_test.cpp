// Traces on their way to clients: the feed of those who follow, what is read for those who fetch.
#include "actors/trace/frame_filter.hpp"
#include "runtime/daemon/trace_feed.hpp"
#include "runtime/daemon/trace_keeper.hpp"
#include "runtime/daemon/trace_store.hpp"
#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <limits>
#include <random>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::runtime::daemon;

namespace {

std::vector<trace::event> some_events(std::size_t count, iteration_no iteration = 1,
                                      node_id node = 0) {
  std::vector<trace::event> events(count);
  for (std::size_t i = 0; i < count; ++i) {
    events[i].time_ns = static_cast<std::int64_t>(i);
    events[i].iteration = iteration + i / 100;
    events[i].microbatch = static_cast<microbatch_id>(i % 4);
    events[i].node = node;
  }
  return events;
}

std::vector<trace::event> events_of(const trace_events& answer) {
  std::vector<trace::event> events(answer.events.size() / sizeof(trace::event));
  if (!events.empty())
    std::memcpy(static_cast<void*>(events.data()), answer.events.data(), answer.events.size());
  return events;
}

trace_feed::node_names names(std::vector<std::string> list) {
  return std::make_shared<const std::vector<std::string>>(std::move(list));
}

} // namespace

TEST_CASE("followers get what they asked for, in order and by session", "[trace][feed]") {
  int news = 0;
  trace_feed feed{[&] { ++news; }};
  feed.publish("a", names({"x"}), some_events(5)); // For nobody.
  trace_pull one;
  one.microbatch = 2;
  one.iteration = 1;
  trace_pull by_name;
  by_name.node = "y";
  const auto all = feed.open("a", {}), some = feed.open("a", one), other = feed.open("b", {}),
             named = feed.open("a", by_name);
  const auto first = names({"x", "y"}), second = names({"y", "x"});
  feed.publish("a", first, some_events(200));
  feed.publish("a", first, some_events(3, 7));
  feed.publish("a", second, some_events(2, 9));
  CHECK(news == 2); // Of "all", "some" and "named" at once; then of "named" again.
  const auto answer = feed.take(all);
  CHECK(events_of(answer).size() == 203);
  CHECK(answer.nodes == *first);
  CHECK(answer.lost == 0);
  CHECK(feed.take(all).nodes == *second); // Numbers mean other nodes there.
  CHECK(feed.take(all).events.empty());
  const auto chosen = events_of(feed.take(some));
  CHECK(chosen.size() == 25);
  for (const auto& e : chosen)
    CHECK((e.microbatch == 2 && e.iteration == 1));
  CHECK(events_of(feed.take(named)).size() == 2);
  CHECK(feed.take(other).events.empty());
  feed.close(all);
  CHECK(feed.take(all).events.empty());
}

TEST_CASE("a follower that takes nothing keeps the newest, and is told what it lost",
          "[trace][feed]") {
  trace_feed feed{[] {}};
  const auto follower = feed.open("a", {});
  const auto nodes = names({"x"});
  const std::size_t published = 3 * trace_feed::most_waiting + 123;
  for (std::size_t i = 0; i < published; i += 41) {
    auto events = some_events(std::min<std::size_t>(41, published - i));
    for (std::size_t k = 0; k < events.size(); ++k)
      events[k].time_ns = static_cast<std::int64_t>(i + k);
    feed.publish("a", nodes, events);
  }
  std::vector<trace::event> taken;
  std::uint64_t lost = 0;
  while (true) {
    const auto answer = feed.take(follower);
    const auto more = events_of(answer);
    lost = answer.lost;
    if (more.empty())
      break;
    CHECK(more.size() <= trace_feed::most_at_once);
    taken.insert(taken.end(), more.begin(), more.end());
  }
  CHECK(taken.size() == trace_feed::most_waiting);
  CHECK(lost == published - trace_feed::most_waiting);
  CHECK(taken.back().time_ns == static_cast<std::int64_t>(published - 1));
  for (std::size_t i = 1; i < taken.size(); ++i)
    REQUIRE(taken[i].time_ns == taken[i - 1].time_ns + 1);
}

TEST_CASE("a filtered trace reads as the whole one read through the filter", "[trace][store]") {
  testing::scratch_folder dir;
  std::mt19937 random{7};
  {
    trace::file_writer writer;
    REQUIRE_FALSE(writer.open({dir.path()}, {"n", 0, 1, 5, 0, 0}));
    for (int i = 0; i < 60; ++i) {
      if (i % 20 == 10)
        REQUIRE_FALSE(writer.update_clock(i, 1));
      REQUIRE_FALSE(writer.append(some_events(random() % 700, random() % 20), i / 10));
    }
  }
  const auto path = trace::trace_path(dir.path(), "n");
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  const bool damaged = GENERATE(false, true);
  if (damaged)
    for (int i = 0; i < 5; ++i)
      text[200 + random() % (text.size() - 200)] ^= 0x40;
  const auto bytes = std::as_bytes(std::span{text});
  for (const auto& filter : {trace::event_filter{3, 5}, trace::event_filter{100, 200}}) {
    const auto whole = std::get<trace::trace_data>(trace::read_trace(bytes, filter));
    for (const std::size_t piece : {std::size_t{300'000}, bytes.size()}) {
      std::vector<std::byte> kept;
      for (std::size_t at = 0; at < bytes.size();) {
        const auto size = std::min(piece, bytes.size() - at);
        const auto used =
            trace::filter_frames(bytes.subspan(at, size), at + size == bytes.size(), filter, kept);
        REQUIRE(used > 0);
        at += used;
      }
      const auto read = std::get<trace::trace_data>(trace::read_trace(kept, filter));
      CHECK(read.events == whole.events);
      CHECK(read.overwritten == whole.overwritten);
      CHECK((read.damaged_blocks > 0) == damaged);
      REQUIRE(read.segments.size() == whole.segments.size());
      for (std::size_t i = 0; i < read.segments.size(); ++i) {
        CHECK(read.segments[i].info == whole.segments[i].info);
        CHECK(read.segments[i].count == whole.segments[i].count);
      }
      CHECK(kept.size() < bytes.size() / 2);
    }
  }
}

TEST_CASE("only traces and plans are read, also while a trace is set aside", "[trace][store][R8]") {
  testing::scratch_folder dir;
  const auto feed = std::make_shared<trace_feed>([] {});
  const auto follower = feed->open("job", {});
  trace_keeper keeper{dir.path(), "job", 5, {"a", "b"}, feed};
  const auto keep = [&](session_no session, node_id node, std::int64_t offset) {
    trace_batch batch{session, node, 0, offset, 0, {}};
    const auto events = some_events(10, 1, node);
    batch.events.resize(events.size() * sizeof(trace::event));
    std::memcpy(batch.events.data(), events.data(), batch.events.size());
    keeper.keep(batch);
  };
  keep(5, 0, 0);
  keep(5, 1, 1000);
  keep(5, trace::no_node, 0);
  keep(4, 0, 0); // Of another session.
  keep(5, 2, 0); // Of nobody.
  const auto followed = events_of(feed->take(follower));
  REQUIRE(followed.size() == 30);
  CHECK(followed[10].time_ns == 1000); // By the scheduler's clock.
  std::ofstream{dir.path() / "trace" / "secret.txt"} << "x";
  std::ofstream{dir.path() / "journal"} << "x";

  const auto files = list_trace_files(dir.path());
  REQUIRE(files.size() == 3);
  CHECK(files[0].name == "trace/a.trace");
  CHECK(files[2].name == "trace/scheduler.trace");
  constexpr auto all = std::numeric_limits<std::uint64_t>::max();
  trace_part_request wanted{"job", files[0].name, files[0].identity, 0, files[0].size, 0, all};
  const auto part = read_trace_part(dir.path(), wanted);
  CHECK(part.bytes.size() == files[0].size);
  CHECK(part.next == files[0].size);
  CHECK(part.error.empty());

  std::filesystem::rename(dir.path() / "trace/a.trace", dir.path() / "trace/a.trace.1");
  std::ofstream{dir.path() / "trace/a.trace"} << "the next one";
  CHECK(read_trace_part(dir.path(), wanted).bytes == part.bytes);
  std::filesystem::rename(dir.path() / "trace/a.trace", dir.path() / "trace/a.trace.1");
  CHECK(read_trace_part(dir.path(), wanted).replaced);

  for (const char* name : {"trace/secret.txt", "journal", "trace/../journal", "../x/trace",
                           "/etc/passwd", "trace/x/a.trace", "plans/a.trace", "trace/", ""}) {
    INFO(name);
    wanted.name = name;
    CHECK_FALSE(read_trace_part(dir.path(), wanted).error.empty());
  }
  wanted.name = files[1].name;
  wanted.identity = files[1].identity;
  for (const std::uint64_t offset : {std::uint64_t{5000}, all - 1}) {
    wanted.offset = offset;
    wanted.end = all;
    const auto none = read_trace_part(dir.path(), wanted); // Beyond the end: nothing, and done.
    CHECK(none.bytes.empty());
    CHECK((none.next == all || !none.error.empty()));
  }
}
