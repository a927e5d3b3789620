#include "actors/trace/file.hpp"

#include "actors/trace/format.hpp"
#include "actors/trace/plan_record.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <random>
#include <sys/resource.h>
#include <unistd.h>

using namespace skippipe;
using namespace skippipe::trace;

namespace {

struct temporary_folder {
  std::filesystem::path path;
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "skippipe-trace-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path); }
};

std::vector<event> some_events(std::size_t count, iteration_no first = 1) {
  std::vector<event> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i].time_ns = static_cast<std::int64_t>(1000 * i);
    out[i].iteration = first + i / 10;
    out[i].microbatch = static_cast<microbatch_id>(i % 10);
    out[i].kind = static_cast<event_kind>(i % event_kinds);
  }
  return out;
}

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::byte> out(text.size());
  std::memcpy(out.data(), text.data(), text.size());
  return out;
}

void put_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

trace_data good(const trace_result& result) {
  if (const auto* line = std::get_if<std::string>(&result))
    FAIL(*line);
  return std::get<trace_data>(result);
}

segment_info info(std::string name = "n1") {
  segment_info i;
  i.name = std::move(name);
  i.node = 3;
  i.incarnation = 7;
  i.session = 11;
  i.clock_offset_ns = -5;
  i.clock_uncertainty_ns = 2;
  return i;
}

} // namespace

TEST_CASE("checksums are CRC-32", "[trace][file]") {
  const std::string text = "123456789";
  CHECK(crc32(std::as_bytes(std::span(text))) == 0xcbf43926u);
  CHECK(crc32({}) == 0);
}

TEST_CASE("a trace file gives back what was written", "[trace][file]") {
  temporary_folder dir;
  const auto events = some_events(10'000);
  {
    file_writer writer;
    REQUIRE_FALSE(writer.open({dir.path}, info()));
    REQUIRE_FALSE(writer.append(std::span(events).first(6'000), 0));
    REQUIRE_FALSE(writer.append(std::span(events).subspan(6'000), 42));
    REQUIRE_FALSE(writer.sync());
    REQUIRE_FALSE(writer.close());
  }
  const auto data = good(read_trace_file(trace_path(dir.path, "n1")));
  CHECK(data.events == events);
  REQUIRE(data.segments.size() == 1);
  CHECK(data.segments[0].info == info());
  CHECK(data.segments[0].count == events.size());
  CHECK(data.overwritten == 42);
  CHECK(data.damaged_blocks == 0);
  CHECK(data.unread_bytes == 0);

  const auto part = good(read_trace_file(trace_path(dir.path, "n1"), {5, 6}));
  CHECK(part.events.size() == 20);
  CHECK(part.segments[0].count == 20);
}

TEST_CASE("a resumed run and a new clock begin segments in the same file", "[trace][file]") {
  temporary_folder dir;
  const auto events = some_events(30);
  for (incarnation_no life = 1; life <= 2; ++life) {
    file_writer writer;
    auto i = info();
    i.incarnation = life;
    REQUIRE_FALSE(writer.open({dir.path}, i));
    REQUIRE_FALSE(writer.append(std::span(events).first(10), 0));
    REQUIRE_FALSE(writer.update_clock(100, 1));
    REQUIRE_FALSE(writer.append(std::span(events).subspan(10), 0));
  }
  const auto data = good(read_trace_file(trace_path(dir.path, "n1")));
  REQUIRE(data.segments.size() == 4);
  CHECK(data.events.size() == 60);
  CHECK(data.segments[1].info.clock_offset_ns == 100);
  CHECK(data.segments[1].first == 10);
  CHECK(data.segments[2].info.incarnation == 2);
  CHECK(data.segments[3].count == 20);
}

TEST_CASE("a crash loses at most the last block, wherever it cuts", "[trace][file]") {
  temporary_folder dir;
  const auto events = some_events(40);
  const auto path = trace_path(dir.path, "n1");
  std::vector<std::uintmax_t> ends;
  {
    file_writer writer;
    REQUIRE_FALSE(writer.open({dir.path}, info()));
    for (std::size_t i = 0; i < 4; ++i) {
      REQUIRE_FALSE(writer.append(std::span(events).subspan(10 * i, 10), 0));
      ends.push_back(std::filesystem::file_size(path));
    }
  }
  const auto all = bytes_of(path);
  for (std::size_t cut = all.size(); cut >= ends[1]; cut -= 13) {
    const std::size_t whole = static_cast<std::size_t>(
        std::count_if(ends.begin(), ends.end(), [&](auto end) { return end <= cut; }));
    const auto data = good(read_trace(std::span(all).first(cut)));
    CHECK(data.events.size() == 10 * whole);
    CHECK(data.damaged_blocks == 0);
    CHECK((data.unread_bytes == 0) == (cut == ends[whole - 1]));

    // The next start goes on behind the last whole block.
    put_bytes(path, std::span(all).first(cut));
    file_writer writer;
    REQUIRE_FALSE(writer.open({dir.path}, info()));
    REQUIRE_FALSE(writer.append(std::span(events).first(5), 0));
    const auto resumed = good(read_trace_file(path));
    CHECK(resumed.events.size() == 10 * whole + 5);
    CHECK(resumed.segments.size() == 2);
    CHECK(resumed.unread_bytes == 0);
  }
}

TEST_CASE("any flipped byte is noticed and costs one block", "[trace][file]") {
  temporary_folder dir;
  const auto events = some_events(40);
  const auto path = trace_path(dir.path, "n1");
  {
    file_writer writer;
    REQUIRE_FALSE(writer.open({dir.path}, info()));
    for (std::size_t i = 0; i < 4; ++i)
      REQUIRE_FALSE(writer.append(std::span(events).subspan(10 * i, 10), 0));
  }
  const auto all = bytes_of(path);
  const std::size_t first_block = sizeof(frame_header) + sizeof(segment_head) + 2;
  for (std::size_t at = 0; at < all.size(); at += 3) {
    auto damaged = all;
    damaged[at] ^= std::byte{0x10};
    const auto result = read_trace(damaged);
    if (at < 4) { // the magic of the first frame
      REQUIRE(std::holds_alternative<std::string>(result));
      CHECK(std::get<std::string>(result).find('\n') == std::string::npos);
      continue;
    }
    const auto data = good(result);
    CHECK(data.damaged_blocks + (data.unread_bytes > 0) >= 1);
    // Without its segment a block has no owner; else only the damaged one is missing.
    CHECK(data.events.size() == (at < first_block ? 0 : 30));
  }
}

TEST_CASE("hostile files end in one clear line", "[trace][file]") {
  auto line = [](std::string_view text) {
    const auto result = read_trace(std::as_bytes(std::span(text)));
    return std::holds_alternative<std::string>(result) ? std::get<std::string>(result) : "";
  };
  CHECK(line("{\"traceEvents\":[]}").find("not a trace file") == 0);
  CHECK(line("ST").find("not a trace file") == 0);
  CHECK(line(std::string("STr9") + std::string(100, 'x')).find("another format version ('9'")
        != std::string::npos);
  CHECK(good(read_trace({})).events.empty());

  temporary_folder dir;
  const auto missing = read_trace_file(dir.path / "trace" / "n9.trace");
  REQUIRE(std::holds_alternative<std::string>(missing));
  CHECK(std::get<std::string>(missing).find("n9.trace: cannot read") != std::string::npos);
}

TEST_CASE("a block with a kind that does not exist is refused", "[trace][file]") {
  temporary_folder dir;
  auto events = some_events(10);
  file_writer writer;
  REQUIRE_FALSE(writer.open({dir.path}, info()));
  REQUIRE_FALSE(writer.append(events, 0));
  events[4].kind = static_cast<event_kind>(event_kinds);
  REQUIRE_FALSE(writer.append(events, 0));
  const auto data = good(read_trace_file(writer.path()));
  CHECK(data.events.size() == 10);
  CHECK(data.damaged_blocks == 1);
}

TEST_CASE("a trace stays within its space and drops the oldest", "[trace][file]") {
  temporary_folder dir;
  file_options options{dir.path, 256 << 10};
  file_writer writer;
  REQUIRE_FALSE(writer.open(options, info()));
  std::uintmax_t largest = 0;
  for (iteration_no i = 1; i <= 400; ++i) {
    REQUIRE_FALSE(writer.append(some_events(100, 10 * i), 0));
    std::uintmax_t total = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path / "trace"))
      total += entry.file_size();
    largest = std::max(largest, total);
  }
  CHECK(largest <= options.max_bytes + 100 * sizeof(event) + 1024);
  const auto data = good(read_trace_file(writer.path()));
  CHECK(data.events.size() * sizeof(event) >= options.max_bytes / 2);
  CHECK(data.events.front().iteration > 10);
  CHECK(data.events.back().iteration == 4009);
  for (const auto& s : data.segments)
    CHECK(s.info == info());
}

TEST_CASE("a writer that cannot write says so and goes on later", "[trace][file]") {
  temporary_folder dir;
  const auto events = some_events(1000);
  file_writer writer;
  CHECK(writer.open({dir.path / "no" / "such"}, info("")) == std::errc::invalid_argument);
  put_bytes(dir.path / "plain", {});
  CHECK(writer.open({dir.path / "plain"}, info()));
  CHECK(writer.append(events, 0) == std::errc::bad_file_descriptor);

  REQUIRE_FALSE(writer.open({dir.path}, info()));
  REQUIRE_FALSE(writer.append(events, 0));
  // A full disk, as a limit on the file's size: the write stops half-way.
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = std::filesystem::file_size(writer.path()) + 100;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto err = writer.append(events, 0);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(err == std::errc::file_too_large);
  CHECK(good(read_trace_file(writer.path())).events.size() == 1000);
  REQUIRE_FALSE(writer.append(events, 5));
  const auto after = good(read_trace_file(writer.path()));
  CHECK(after.events.size() == 2000);
  CHECK(after.overwritten == 1005); // those of the failed call, and the ring's
}

TEST_CASE("node names become safe file names", "[trace][file]") {
  CHECK(trace_path("r", "eu-1.a_B") == "r/trace/eu-1.a_B.trace");
  CHECK(trace_path("r", "../x y") == "r/trace/%2E.%2Fx%20y.trace");
}

TEST_CASE("plans are written whole, bounded, and only with fitting times", "[trace][plan]") {
  temporary_folder dir;
  scheduler::plan plan;
  plan.version = 3;
  plan.strategy = "a\"b\n";
  plan.arrangement = {{0}, {1}};
  plan.paths = {{0, 0, {{1, 1}}}};
  plan.order = {{{0, scheduler::task_kind::forward}}, {}};
  plan.makespan_s = 1.5;
  REQUIRE_FALSE(write_plan_record(dir.path, plan, {{{0, 0.25}}, {}}));
  const auto bytes = bytes_of(plan_path(dir.path, 3));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(text.find("\"strategy\":\"a\\\"b\\u000a\"") != std::string::npos);
  CHECK(text.find("[0,\"F\",0,0.25]") != std::string::npos);
  CHECK(write_plan_record(dir.path, plan, {{}}) == std::errc::invalid_argument);
  CHECK(write_plan_record(dir.path, plan, {{{0, 1.0 / 0.0}}, {}}) == std::errc::invalid_argument);
  plan.version += plans_kept;
  REQUIRE_FALSE(write_plan_record(dir.path, plan, {}));
  CHECK_FALSE(std::filesystem::exists(plan_path(dir.path, 3)));
  CHECK(std::filesystem::exists(plan_path(dir.path, plan.version)));
}
