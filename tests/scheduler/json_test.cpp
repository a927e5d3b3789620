#include "scheduler/instance_json.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/schedule_json.hpp"

#include "generate.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <iterator>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

std::string syntax_error(std::string_view text) {
  std::string problem;
  return json_document::parse(text, problem) ? "" : problem;
}

const std::string good = R"({"format":"skippipe-instance/1","name":"t",
"nodes":[{"id":0,"name":"a","location":"x","compute_s":1,"memory":2},
{"id":1,"name":"b","location":"x","compute_s":2,"memory":2}],
"link_s":[[0,1],[1,0]],
"stages":2,"stage_sizes":[1,1],
"path_length":2,"microbatches_per_origin":2})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string first_problem(const std::string& text) {
  const auto result = parse_instance(text, "f.json");
  REQUIRE(result.value.has_value() == result.problems.empty());
  return result.problems.empty() ? "" : result.problems.front();
}

} // namespace

TEST_CASE("JSON syntax errors name their place", "[scheduler][json]") {
  CHECK(syntax_error("{\"a\":[1,2.5e3,-0,true,null,\"\\u00e9\\ud83d\\ude00\"]}") == "");
  CHECK(syntax_error("") == "1:1: unexpected end of file, expected a value");
  CHECK(syntax_error("{\n \"a\": 01}") == "2:7: a number must not start with 0");
  CHECK(syntax_error("[1,\n2,]") == "2:3: expected a value");
  CHECK(syntax_error("[1 2]") == "1:4: expected ',' or ']'");
  CHECK(syntax_error("[1e999]") == "1:2: number out of range");
  CHECK(syntax_error("[NaN]") == "1:2: expected a value");
  CHECK(syntax_error("[1] x") == "1:5: unexpected text after the document");
  CHECK(syntax_error("{\"a\":1,\"a\":2}") == "1:8: duplicate key \"a\"");
  CHECK(syntax_error("\"\\ud83d\"") == "1:8: half a surrogate pair in a string");
  CHECK(syntax_error("\"\xff\"") == "1:2: invalid UTF-8 in a string");
  CHECK(syntax_error("\"abc") == "1:5: unexpected end of file in a string");
  CHECK(syntax_error(std::string(1000, '[')) == "1:33: nested deeper than 32 levels");
}

TEST_CASE("R10: every problem of an instance is one line with its place", "[scheduler][json]") {
  CHECK(first_problem(good) == "");
  CHECK(first_problem(replaced(good, "\"path_length\":2", "\"path_length\":2,\"microbatches\":0"))
        == "f.json:6:32: microbatches: expected an integer in 1..1000000, got 0");
  CHECK(first_problem(replaced(good, "\"path_length\":2",
                               "\"path_length\":2,\"routes\":[[1],[1]],\"microbatches\":3"))
        == "f.json:6:51: microbatches: expected 2, one per route, got 3");
  CHECK(
      first_problem(replaced(good, "skippipe-instance/1", "skippipe-plan/1"))
      == "f.json:1:11: expected \"skippipe-instance/1\", got \"skippipe-plan/1\": the file holds a "
         "plan, not an instance");
  CHECK(first_problem(replaced(good, "\"memory\":2", "\"memory\":-1"))
        == "f.json:2:67: nodes[0].memory: expected an integer in 0..1000000, got -1");
  // These two read as the same double.
  for (const char* large : {"9007199254740993", "9007199254740992"}) {
    CHECK(
        first_problem(replaced(good, "\"memory\":2", std::string("\"memory\":") + large))
        == "f.json:2:67: nodes[0].memory: expected an integer in 0..1000000, got an integer beyond "
           "2^53");
    CHECK(first_problem(replaced(good, "[[0,1],[1,0]]", std::string("[[0,") + large + "],[1,0]]"))
          == "f.json:4:14: link_s: expected a number in 0..1e+15, got an integer beyond 2^53");
  }
  CHECK(first_problem(replaced(good, "\"name\":\"t\"", "\"nam\":\"t\""))
        == "f.json:1:33: instance: unknown key \"nam\"");
  CHECK(first_problem(replaced(good, "[[0,1],[1,0]]", "[[0,-1],[1,0]]"))
        == "f.json:4:14: link_s: expected a number in 0..1e+15, got -1");
  CHECK(first_problem(replaced(good, "[[0,1],[1,0]]", "[[0,1],[1]]"))
        == "f.json:4:17: link_s: expected 2 items, got 1");
  CHECK(first_problem(replaced(good, "[1,1]", "[1,0]"))
        == "f.json:5:29: stage_sizes: expected an integer in 1..20000, got 0");
  CHECK(first_problem(replaced(good, "\"stages\":2,", "")) == "f.json:1:1: missing key \"stages\"");
  CHECK(first_problem(replaced(good, "\"path_length\":2", "\"path_length\":0"))
        == "f.json:6:15: path_length: expected an integer in 1..10000, got 0");
  CHECK(first_problem(
            replaced(good, "\"microbatches_per_origin\":2", "\"microbatches_per_origin\":1.5"))
        == "f.json:6:43: microbatches_per_origin: expected an integer in 1..1000000, got 1.5");
  CHECK(first_problem(replaced(good, "[1,1]", "\"free\"")) == "");
  const auto two = parse_instance(
      replaced(replaced(good, "\"compute_s\":1", "\"compute_s\":-1"), "\"id\":1", "\"id\":7"), "f");
  CHECK(two.problems.size() == 2);
  CHECK(load_instance("/no/such/file").problems.front()
        == "/no/such/file:1:1: cannot open the file");
}

TEST_CASE("what reads well but cannot be planned is for the planner to refuse",
          "[scheduler][json][planner]") {
  const auto obstacle = [](const std::string& from, const std::string& to) {
    const auto read = parse_instance(replaced(good, from, to), "f");
    REQUIRE(read.value);
    const auto why = find_obstacle(*read.value, strategy::skippipe);
    REQUIRE(why);
    return why->reason + " -> " + why->nearest;
  };
  CHECK(obstacle("[1,1]", "[1,2]")
        == "stage_sizes: sum to 3, there are 2 nodes -> stage_sizes = [1,1]");
  CHECK(obstacle("[1,1]", "[900,20000]")
        == "stage_sizes: sum to 20900, there are 2 nodes -> stage_sizes = [1,1]");
  CHECK(obstacle("\"path_length\":2", "\"path_length\":3")
        == "path_length is 3, allowed are 1..2 with 2 stages -> path_length = 2");
  CHECK(obstacle("\"memory\":2", "\"memory\":0")
        == "node 0: memory is 0, a path needs one slot -> memory = 1 at node 0");
  CHECK(obstacle("\"stages\":2,\"stage_sizes\":[1,1]", "\"stages\":3,\"stage_sizes\":\"free\"")
        == "nodes: 2 nodes cannot serve 3 stages -> stages = 2");
}

TEST_CASE("links may come as latency and bandwidth", "[scheduler][json]") {
  const auto x = parse_instance(
      replaced(good, "\"link_s\":[[0,1],[1,0]]",
               "\"latency_s\":[[0,0.5],[0.25,0]],\"bandwidth_Bps\":[[0,100],[200,0]],"
               "\"payload_bytes\":50"),
      "f");
  REQUIRE(x.value);
  CHECK(x.value->link_s == std::vector<double>{0, 1, 0.5, 0});
}

TEST_CASE("the documented instance is read and planned", "[scheduler][json]") {
  std::ifstream file(SKIPPIPE_SOURCE_DIR "/docs/FORMATS.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string fence = "```json\n";
  const auto begin = text.find(fence) + fence.size(), end = text.find("```", begin);
  REQUIRE(end != std::string::npos);
  const auto read = parse_instance(text.substr(begin, end - begin), "FORMATS.md");
  REQUIRE(read.problems == std::vector<std::string>{});
  planner_options options;
  options.max_iterations = 100;
  CHECK(std::holds_alternative<plan>(make_plan(*read.value, options)));
}

TEST_CASE("instances and schedules survive writing and reading", "[scheduler][json]") {
  random_source random(11);
  int plans = 0;
  for (int i = 0; i < 200; ++i) {
    instance x = testing::random_instance(random);
    x.commit_s = random.below(2) * 0.1;
    if (random.below(4) == 0)
      x.microbatches = 1 + random.below(12);
    if (random.below(2)) {
      x.stage_cost.assign(x.stages, 1.25);
      x.sync_bytes.assign(x.stages, 1e6);
      x.latency_s.assign(x.link_s.size(), 0.01);
      x.bandwidth_Bps.assign(x.link_s.size(), 1e9);
    }
    if (random.below(2))
      x.node_stage_s.assign(x.nodes.size() * x.stages, {1.5, 0.25, 3});
    const std::string text = write_instance(x);
    const auto read = parse_instance(text, "f");
    INFO((read.problems.empty() ? text : read.problems.front()));
    REQUIRE(read.value);
    REQUIRE(write_instance(*read.value) == text);
    planner_options options;
    options.kind = strategy::random;
    options.seed = random.next();
    const auto made = make_plan(x, options);
    if (const plan* p = std::get_if<plan>(&made)) {
      ++plans;
      const std::string schedule = write_schedule(x, *p);
      const auto back = parse_schedule(schedule, "s", x);
      REQUIRE(back.value);
      REQUIRE(back.value->paths == p->paths);
      REQUIRE(back.value->order == p->order);
      REQUIRE(back.value->makespan_s == p->makespan_s);
    }
  }
  CHECK(plans > 150);
}

TEST_CASE("R10: a schedule's problems are named with their place", "[scheduler][json]") {
  const instance x = *parse_instance(good, "f").value;
  const std::string schedule =
      R"({"format":"skippipe-schedule/1","instance":"t","arrangement":[[0],[1]],
"paths":[{"microbatch":0,"origin":0,"nodes":[1]}],"order":{"0":[[0,"F"]]}})";
  CHECK(parse_schedule(schedule, "s", x).value);
  const auto problem = [&](const std::string& from, const std::string& to) {
    return parse_schedule(replaced(schedule, from, to), "s", x).problems.at(0);
  };
  CHECK(problem("\"origin\":0", "\"origin\":2")
        == "s:2:35: origin: expected an integer in 0..1, got 2");
  CHECK(problem("\"F\"", "\"G\"") == "s:2:68: order: expected \"F\", \"L\" or \"B\"");
  CHECK(problem("{\"0\":", "{\"00\":") == "s:2:60: order: \"00\" is no node id");
  CHECK(problem("\"t\"", "\"u\"")
        == "s:1:44: instance: the schedule is of another instance than \"t\"");
}

TEST_CASE("ten megabytes are read quickly", "[scheduler][json]") {
  instance x;
  x.nodes.assign(800, {"node", "place", 1, 3});
  x.link_s.assign(800 * 800, 1.0 / 3);
  x.stages = 2;
  x.path_length = 2;
  const std::string text = write_instance(x);
  CHECK(text.size() > 10000000);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(parse_instance(text, "f").value);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() < 5); // Far from the 0.2 s it takes alone, near enough to see a square law.
}
