// skippipe plan and skippipe simulate as a user runs them.
#include "plan_workplace.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

using namespace skippipe;
using namespace skippipe::runtime::testing;
using nlohmann::json;

TEST_CASE("plan --json says what it planned, simulate says the same", "[cli][plan]") {
  const workplace w;
  for (const std::string name : {"full", "random", "no-collision", "cbs", "skippipe"}) {
    INFO(name);
    const auto made =
        out_of(w.plan_words + "--json --strategy " + name + " --out " + quoted(w.schedule));
    REQUIRE(made.code == 0);
    CHECK(made.text.find('\n') == made.text.size() - 1);
    const auto line = json::parse(made.text);
    CHECK(line["strategy"] == name);
    CHECK(line["valid"] == true);
    CHECK(line["moved_nodes"] == 0);
    CHECK(line["wall_s"].get<double>() > 0);
    CHECK(line["wall_s"].get<double>() < 0.8);
    CHECK_FALSE(line.contains("iteration_s"));
    const double makespan = line["makespan_s"], bound = line["lower_bound_s"];
    CHECK(bound > 0);
    CHECK(bound <= makespan * (1 + 1e-9));
    CHECK(line["gap"].get<double>() == Approx(makespan / bound - 1));

    const auto timed = out_of(w.simulate_words + "--json");
    REQUIRE(timed.code == 0);
    const auto seen = json::parse(timed.text);
    CHECK(seen["valid"] == true);
    CHECK(seen["violations"].empty());
    CHECK(seen["makespan_s"].get<double>() == Approx(makespan).epsilon(1e-12));
    REQUIRE(seen["nodes"].size() == 8);
    for (const auto& node : seen["nodes"]) {
      CHECK(node["utilisation"].get<double>()
            == Approx(node["busy_s"].get<double>() / makespan).epsilon(1e-9));
      CHECK(node["peak"].get<int>() <= 3);
    }
  }
}

TEST_CASE("without --json plan and simulate speak to people", "[cli][plan]") {
  const workplace w;
  const auto made = out_of(w.plan_words + "--out " + quoted(w.schedule));
  CHECK(made.code == 0);
  CHECK(made.text.starts_with("skippipe: makespan "));
  CHECK(made.text.find("lower bound") != std::string::npos);
  const auto timed = out_of(w.simulate_words);
  CHECK(timed.code == 0);
  CHECK(timed.text.starts_with("makespan "));
  CHECK(std::count(timed.text.begin(), timed.text.end(), '\n') == 9);
}

TEST_CASE("seed, threads and time limit are heard", "[cli][plan]") {
  const workplace w;
  const auto random = [&](const std::string& words) {
    const auto made =
        out_of(w.plan_words + "--strategy random --out " + quoted(w.schedule) + " " + words);
    REQUIRE(made.code == 0);
    return content(w.schedule);
  };
  CHECK(random("--seed 1") == random("--seed 1 --threads 1"));
  CHECK(random("--seed 1") != random("--seed 2"));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(out_of("plan --instance " + quoted(w.instance) + " --time-limit 0").code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
}

TEST_CASE("what a reduction and a commit take is added to the iteration", "[cli][plan]") {
  auto x = small_problem();
  x.commit_s = 0.5;
  x.sync_bytes.assign(4, 1000);
  x.latency_s.assign(64, 0.25);
  x.bandwidth_Bps.assign(64, 1000);
  const workplace w(x);
  const auto line = json::parse(out_of(w.plan_words + "--json --out " + quoted(w.schedule)).text);
  // Two rounds of half the bytes each, after the last backward of the last stage to end: stage 0.
  CHECK(line["iteration_s"].get<double>()
        == Approx(line["makespan_s"].get<double>() + 2 * (0.25 + 0.5) + 0.5));
  CHECK(json::parse(out_of(w.simulate_words + "--json").text)["iteration_s"]
        == line["iteration_s"]);
  const double bound = line["iteration_lower_bound_s"];
  CHECK(bound > line["lower_bound_s"].get<double>());
  CHECK(line["iteration_gap"].get<double>()
        == Approx(line["iteration_s"].get<double>() / bound - 1));
  CHECK(line["iteration_gap"].get<double>() >= 0);
}

TEST_CASE("--from replans: who left is gone, few others move", "[cli][plan]") {
  auto x = small_problem();
  const workplace w(x);
  REQUIRE(out_of(w.plan_words + "--out " + quoted(w.schedule)).code == 0);
  const json before = json::parse(content(w.schedule));
  // Whoever comes first in the last stage leaves; the others keep their names.
  const node_id gone = before["arrangement"][3][0];
  scheduler::instance left = x;
  left.nodes.erase(left.nodes.begin() + gone);
  left.stage_sizes[3] = 1;
  left.link_s.clear();
  for (node_id a = 0; a < 8; ++a)
    for (node_id b = 0; b < 8; ++b)
      if (a != gone && b != gone)
        left.link_s.push_back(x.link(a, b));
  std::vector<std::vector<node_id>> kept(4);
  for (int s = 0; s < 4; ++s)
    for (const node_id n : before["arrangement"][s])
      if (n != gone)
        kept[s].push_back(n - (n > gone));
  const auto next = w.folder / "next.json";
  const auto replanned = [&] {
    put(w.instance, scheduler::write_instance(left));
    const auto made =
        out_of(w.plan_words + "--json --from " + quoted(w.schedule) + " --out " + quoted(next));
    REQUIRE(made.code == 0);
    return json::parse(made.text);
  };
  // Where the planner chooses the arrangement, few nodes move, and it says how many.
  auto line = replanned();
  CHECK(line["valid"] == true);
  const auto arrangement = json::parse(content(next))["arrangement"];
  std::size_t moved = 0;
  for (int s = 0; s < 4; ++s)
    for (const node_id n : kept[s])
      moved += std::find(arrangement[s].begin(), arrangement[s].end(), n) == arrangement[s].end();
  CHECK(line["moved_nodes"] == moved);
  CHECK(moved <= 4);
  // Where it is given, all stay.
  left.arrangement = kept;
  line = replanned();
  CHECK(line["valid"] == true);
  CHECK(line["moved_nodes"] == 0);
  const auto after = json::parse(content(next))["arrangement"];
  for (int s = 0; s < 4; ++s) {
    auto now = after[s].get<std::vector<node_id>>();
    std::sort(kept[s].begin(), kept[s].end());
    std::sort(now.begin(), now.end());
    CHECK(kept[s] == now);
  }
}

TEST_CASE("--from says who is where, and refuses what it cannot tell", "[cli][plan][R10]") {
  auto x = small_problem();
  const workplace w(x);
  REQUIRE(out_of(w.plan_words + "--out " + quoted(w.schedule)).code == 0);
  const std::string from = "--from " + quoted(w.schedule) + " ";
  x.nodes.push_back({"late", "here", 1, 3});
  x.stage_sizes = {2, 2, 2, 3};
  x.link_s.clear();
  for (node_id a = 0; a < 9; ++a)
    for (node_id b = 0; b < 9; ++b)
      x.link_s.push_back(a == b ? 0 : 0.3);
  put(w.instance, scheduler::write_instance(x));
  const auto made = out_of(w.plan_words + from);
  CHECK(made.code == 0);
  CHECK(made.text.find("the running schedule: makespan ") != std::string::npos);
  CHECK(made.text.find("nodes joined: 1 (late to stage ") != std::string::npos);
  // A plan of another strategy was not asked of replanning.
  const auto other = errors_of(w.plan_words + from + "--strategy full");
  CHECK(other.code == 2);
  CHECK(
      other.text
      == "skippipe: --strategy: a running schedule is replanned by skippipe only, got 'full'; plan "
         "afresh, without --from\n");
  const std::string schedule = content(w.schedule);
  put(w.schedule, replaced(schedule, "\"n1\"", "\"n0\""));
  const auto twice = errors_of(w.plan_words + from);
  CHECK(twice.code == 1);
  CHECK(twice.text
        == "skippipe: " + w.schedule.string()
               + ": node_names: expected names that differ, as the instance has 9 nodes, the "
                 "schedule "
                 "8: who is who?\n");
  std::string strange = schedule;
  for (int n = 0; n < 8; ++n)
    strange = replaced(strange, "\"n" + std::to_string(n) + "\"", "\"m" + std::to_string(n) + "\"");
  put(w.schedule, strange);
  CHECK(errors_of(w.plan_words + from).text
        == "skippipe: " + w.schedule.string()
               + ": node_names: none is of a node of the instance\n");
  // Before the search.
  CHECK(errors_of(w.plan_words + "--out /nowhere/plan.json").text
        == "skippipe: /nowhere/plan.json: cannot write the file\n");
}

TEST_CASE("--compare shows every strategy beside the full pipeline", "[cli][plan]") {
  const workplace w;
  const auto made = out_of(w.plan_words + "--compare --json");
  REQUIRE(made.code == 0);
  std::istringstream lines(made.text);
  std::map<std::string, json> rows;
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const auto row = json::parse(line);
    names.push_back(row["strategy"]);
    rows[names.back()] = row;
  }
  CHECK(names == std::vector<std::string>{"full", "random", "no-collision", "cbs", "skippipe"});
  const double full = rows["full"]["makespan_s"];
  for (const auto& [name, row] : rows) {
    INFO(name);
    CHECK(row["valid"] == true);
    CHECK(row["microbatches"] == 6);
    CHECK(row["reduction"].get<double>()
          == Approx(1 - row["makespan_s"].get<double>() / full).margin(1e-12));
    CHECK(row["utilisation"].get<double>() + row["bubble"].get<double>() == Approx(1));
    CHECK(row["lower_bound_s"].get<double>() <= row["makespan_s"].get<double>() * (1 + 1e-9));
    // 6 microbatches, F and B of 2 or 3 relays, against F, B and L of an origin.
    CHECK(row["relay_share"].get<double>() > 0.5);
    CHECK(row["relay_share"].get<double>() < 0.8);
  }
  CHECK(rows["skippipe"]["makespan_s"] <= rows["random"]["makespan_s"]);
  CHECK(rows["skippipe"]["reduction"] > 0);

  // Whoever serves what, on nodes that are alike relays do less where paths skip.
  auto alike = small_problem();
  for (auto& node : alike.nodes)
    node.compute_s = 1;
  const workplace even{alike};
  rows.clear();
  std::istringstream even_lines(out_of(even.plan_words + "--compare --json").text);
  for (std::string line; std::getline(even_lines, line);) {
    const auto row = json::parse(line);
    rows[row["strategy"]] = row;
  }
  CHECK(rows["full"]["relay_share"] > rows["skippipe"]["relay_share"]);

  const auto table = out_of(w.plan_words + "--compare");
  CHECK(table.code == 0);
  CHECK(std::count(table.text.begin(), table.text.end(), '\n') == 7);
  for (const char* word : {"makespan s", "reduction", "relay work", "utilisation", "bubble"})
    CHECK(table.text.find(word) != std::string::npos);
}

TEST_CASE("plans of the recorded instances pass the recorded evaluator", "[cli][plan]") {
  const char* shared = std::getenv("SKIPPIPE_SHARED");
  const auto folder = fs::path(shared ? shared : SKIPPIPE_SOURCE_DIR "/../shared") / "instances";
  if (!fs::exists(folder / "evaluate.py")) {
    WARN("no evaluator beside the sources, nothing to compare with");
    return;
  }
  const scratch_folder scratch;
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto problem = scheduler::load_instance(entry.path().string());
    if (!problem.value)
      continue;
    INFO(entry.path());
    const auto file = scratch / "schedule.json";
    const auto made = out_of("plan --time-limit 0.5 --json --instance " + quoted(entry.path())
                             + " --out " + quoted(file));
    REQUIRE(made.code == 0);
    const auto judged = shell("python3 " + quoted(folder / "evaluate.py") + " "
                              + quoted(entry.path()) + " " + quoted(file) + " --json");
    CHECK(judged.code == 0);
    CHECK(json::parse(judged.text)["makespan_s"].get<double>()
          == Approx(json::parse(made.text)["makespan_s"].get<double>()).epsilon(1e-12));
    ++seen;
  }
  CHECK(seen > 5);
}
