// What skippipe plan and skippipe simulate refuse, and how they say so.
#include "plan_workplace.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace skippipe;
using namespace skippipe::runtime::testing;
using nlohmann::json;

TEST_CASE("an infeasible problem has its exit code, its reason and a setting that does",
          "[cli][plan]") {
  struct refusal {
    const char *from, *to, *reason, *nearest;
  };
  const auto text = scheduler::write_instance(small_problem());
  const auto given = GENERATE(values<refusal>({
      {"\"path_length\":3", "\"path_length\":9", "path_length is 9, allowed are 1..4 with 4 stages",
       "path_length = 4"},
      {"\"path_length\":3", "\"path_length\":1",
       "path_length is 1, so stages 1..3 would never train", "path_length = 2"},
      {"\"max_jump\":4", "\"max_jump\":1",
       "paths of 3 stages with max_jump 1 cannot visit stages 1..3 equally often", "max_jump = 2"},
      {"\"memory\":3", "\"memory\":0", "node 0: memory is 0, a path needs one slot",
       "memory = 1 at node 0"},
      {"[2,2,2,2]", "[2,2,2,3]", "stage_sizes: sum to 9, there are 8 nodes",
       "stage_sizes = [2,2,2,2]"},
      {"\"stages\":4,\"stage_sizes\":[2,2,2,2]", "\"stages\":9,\"stage_sizes\":\"free\"",
       "nodes: 8 nodes cannot serve 9 stages", "stages = 8"},
  }));
  const workplace w;
  put(w.instance, replaced(text, given.from, given.to));
  for (const char* words : {"", "--compare"}) {
    CAPTURE(given.to, words);
    const auto made = out_of(w.plan_words + "--json " + words);
    CHECK(made.code == 3);
    const auto line = json::parse(made.text);
    CHECK(line["infeasible"] == given.reason);
    CHECK(line["nearest"] == given.nearest);
    const auto errors = errors_of(w.plan_words + words);
    CHECK(errors.text.find(given.reason) != std::string::npos);
    CHECK(errors.text.find('\n') == errors.text.size() - 1);
  }
}

TEST_CASE("what is advised is feasible, for all strategies that were asked for", "[cli][plan]") {
  struct refusal {
    const char* words;
    void (*change)(scheduler::instance&);
    const char *reason, *nearest;
    void (*advised)(scheduler::instance&);
  };
  using problem = scheduler::instance;
  const auto given = GENERATE(values<refusal>({
      // A full pipeline would do with 1.
      {"--compare", [](problem& x) { x.limits.max_jump = 0; },
       "max_jump is 0, so no path leaves stage 0", "max_jump = 2",
       [](problem& x) { x.limits.max_jump = 2; }},
      {"--strategy full", [](problem& x) { x.limits.max_jump = 0; },
       "max_jump is 0, so no path leaves stage 0", "max_jump = 1",
       [](problem& x) { x.limits.max_jump = 1; }},
      {"",
       [](problem& x) {
         x.path_length = 1;
         x.limits.max_jump = 2;
       },
       "path_length is 1, so stages 1..3 would never train", "path_length = 2, max_jump = 3",
       [](problem& x) {
         x.path_length = 2;
         x.limits.max_jump = 3;
       }},
      {"--compare",
       [](problem& x) {
         x.stages = 9;
         x.stage_sizes = {1, 1, 1, 1, 1, 1, 1, 1, 1};
       },
       "nodes: 8 nodes cannot serve 9 stages", "stages = 8, stage_sizes = [1,1,1,1,1,1,1,1]",
       [](problem& x) {
         x.stages = 8;
         x.stage_sizes = {1, 1, 1, 1, 1, 1, 1, 1};
       }},
      {"",
       [](problem& x) {
         for (auto& node : x.nodes)
           node.memory = 0;
       },
       "node 0: memory is 0, a path needs one slot", "memory = 1 at nodes 0,1,2,3,4,5,6,7",
       [](problem& x) {
         for (auto& node : x.nodes)
           node.memory = 1;
       }},
  }));
  CAPTURE(given.words, given.nearest);
  auto wrong = small_problem();
  given.change(wrong);
  const workplace w{wrong};
  const auto line = json::parse(out_of(w.plan_words + "--json " + given.words).text);
  CHECK(line["infeasible"] == given.reason);
  CHECK(line["nearest"] == given.nearest);
  given.advised(wrong);
  put(w.instance, scheduler::write_instance(wrong));
  CHECK(out_of(w.plan_words + given.words).code == 0);
}

TEST_CASE("R10: what is wrong with a call is one line", "[cli][plan]") {
  const workplace w;
  const auto refused = [&](const std::string& words, int code, const std::string& line) {
    CAPTURE(words, line);
    const auto errors = errors_of(words);
    CHECK(errors.code == code);
    CHECK(errors.text.find(line) != std::string::npos);
    CHECK(errors.text.starts_with("skippipe: "));
    CHECK(errors.text.find('\n') == errors.text.size() - 1);
    CHECK(out_of(words).text.empty());
  };
  refused("plan", 2, "--instance is required");
  refused("simulate --instance x", 2, "--schedule is required");
  refused(w.plan_words + "--strategy best", 2, "unknown strategy 'best', expected full");
  refused(w.plan_words + "--threads 0", 2, "--threads");
  refused(w.plan_words + "--time-limit -1", 2, "--time-limit");
  refused(w.plan_words + "--seed x", 2, "--seed");
  refused(w.plan_words + "--gantt x.png", 2, "--gantt: expected a name ending in .html or .svg");
  refused(w.plan_words + "--compare --out x", 2, "--out excludes --compare");
  refused(w.plan_words + "--out /nowhere/x.json", 1, "/nowhere/x.json: cannot write the file");
  refused("plan --instance /nowhere/x.json", 1, "/nowhere/x.json:1:1: cannot open the file");
  refused(w.plan_words + "--from /nowhere/x.json", 1, "/nowhere/x.json:1:1: cannot open the file");
  refused(w.simulate_words, 1, w.schedule.string() + ":1:1: cannot open the file");
  const auto text = content(w.instance);
  put(w.instance, replaced(text, "\"stages\"", "\"stagse\":4,\"stages\""));
  refused(w.plan_words, 1, w.instance.string() + ":");
  refused(w.plan_words, 1, "unknown key \"stagse\"");
  put(w.instance, replaced(text, "\"memory\":3", "\"memory\":-3"));
  refused(w.plan_words, 1, "nodes[0].memory: expected an integer in 0..1000000, got -3");
  put(w.instance, text.substr(0, text.size() / 2));
  refused(w.plan_words, 1, "instance.json:");
}

TEST_CASE("simulate names what a schedule does wrong", "[cli][simulate]") {
  const workplace w;
  REQUIRE(out_of(w.plan_words + "--out " + quoted(w.schedule)).code == 0);
  const json good = json::parse(content(w.schedule));
  const auto refused = [&](const json& bad, const std::string& line) {
    INFO(line);
    put(w.schedule, bad.dump());
    const auto errors = errors_of(w.simulate_words);
    CHECK(errors.code == 1);
    CHECK(errors.text.find(line) != std::string::npos);
    CHECK(errors.text.find('\n') == errors.text.size() - 1);
    const auto [code, text] = out_of(w.simulate_words + "--json");
    CHECK(code == 1);
    if (text.empty())
      return; // It could not even be read.
    const auto seen = json::parse(text);
    CHECK(seen["valid"] == false);
    CHECK(seen["violations"][0].get<std::string>().find(line) != std::string::npos);
  };
  json bad = good;
  bad["makespan_s"] = good["makespan_s"].get<double>() + 1;
  refused(bad, "makespan: claimed");
  bad = good;
  bad["paths"].erase(0);
  refused(bad, "paths: there are 5, required 6");
  bad = good;
  bad["order"]["0"].erase(0);
  refused(bad, "order: 1 tasks are missing");
  bad = good;
  auto& tasks = bad["order"].begin().value();
  std::reverse(tasks.begin(), tasks.end());
  refused(bad, "of");
  bad = good;
  bad["paths"][0]["nodes"].push_back(bad["paths"][0]["nodes"][0]);
  refused(bad, "microbatch 0: ");
  bad = good;
  bad["paths"][0]["nodes"][0] = 99;
  refused(bad, "schedule.json:1:");
  bad = good;
  bad["order"]["0"][0][1] = "G";
  refused(bad, "order: expected \"F\", \"L\" or \"B\"");
  bad = good;
  bad["instance"] = "other";
  refused(bad, "the schedule is of another instance than \"small\"");
  bad = good;
  bad["surprise"] = 1;
  refused(bad, "unknown key \"surprise\"");
  put(w.schedule, "[");
  CHECK(errors_of(w.simulate_words).text.find("schedule.json:1:2: ") != std::string::npos);
  // One file for the other.
  put(w.schedule, good.dump());
  const auto instance = quoted(w.instance), schedule = quoted(w.schedule);
  for (const auto& [words, line] : std::vector<std::pair<std::string, const char*>>{
           {"simulate --instance " + instance + " --schedule " + instance,
            "instance.json:1:11: expected \"skippipe-schedule/1\", got \"skippipe-instance/1\": "
            "the "
            "file holds an instance, not a schedule\n"},
           {"plan --instance " + instance + " --from " + instance,
            "the file holds an instance, not a schedule\n"},
           {"simulate --instance " + schedule + " --schedule " + instance,
            "the file holds a schedule, not an instance\n"},
           {"plan --instance " + schedule, "the file holds a schedule, not an instance\n"}}) {
    CAPTURE(words);
    const auto errors = errors_of(words);
    CHECK(errors.code == 1);
    CHECK(errors.text.ends_with(line));
    CHECK(errors.text.find('\n') == errors.text.size() - 1);
  }
  // Nobody has to claim a makespan.
  bad = good;
  bad.erase("makespan_s");
  put(w.schedule, bad.dump());
  CHECK(json::parse(out_of(w.simulate_words + "--json").text)["makespan_s"].get<double>()
        == Approx(good["makespan_s"].get<double>()));
}

TEST_CASE("--from refuses what cannot be running", "[cli][plan]") {
  const workplace w;
  REQUIRE(out_of(w.plan_words + "--out " + quoted(w.schedule)).code == 0);
  const json good = json::parse(content(w.schedule));
  const auto refused = [&](const json& bad, const std::string& line) {
    INFO(line);
    put(w.schedule, bad.dump());
    const auto errors = errors_of(w.plan_words + "--from " + quoted(w.schedule));
    CHECK(errors.code == 1);
    CHECK(errors.text.find(line) != std::string::npos);
    CHECK(errors.text.find('\n') == errors.text.size() - 1);
  };
  json bad = good;
  bad["arrangement"][1][0] = bad["arrangement"][2][0];
  refused(bad, "is in the arrangement twice");
  bad = good;
  bad["paths"][0]["origin"] = bad["arrangement"][1][0];
  refused(bad, "microbatch 0 starts at node");
  bad = good;
  bad["paths"][0]["nodes"][0] = bad["paths"][0]["origin"];
  refused(bad, "microbatch 0 visits a stage twice");
  bad = good;
  bad["paths"][1]["microbatch"] = 0;
  refused(bad, "microbatch 0 has two paths");
  bad = good;
  bad["arrangement"][2].push_back(bad["arrangement"][3][0]);
  bad["arrangement"][2].push_back(bad["arrangement"][3][1]);
  bad["arrangement"].erase(3);
  bad["paths"] = json::array();
  refused(bad, "the schedule has 3 stages, the instance 4; plan afresh, without --from");
}
