// Agreement with an evaluator that others wrote, where it lies beside the sources.
#include "scheduler/check.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/schedule_json.hpp"

#include "generate.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace fs = std::filesystem;
using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

fs::path instances() {
  const char* shared = std::getenv("SKIPPIPE_SHARED");
  return fs::path(shared ? shared : SKIPPIPE_SOURCE_DIR "/../shared") / "instances";
}

class evaluation {
public:
  evaluation() : folder_(fs::path(SKIPPIPE_BINARY_DIR) / "evaluator_pairs") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~evaluation() { fs::remove_all(folder_); }

  void add(const instance& x, const plan& p) {
    const std::string name = std::to_string(expected_.size());
    std::ofstream(folder_ / (name + ".instance.json")) << write_instance(x);
    std::ofstream(folder_ / (name + ".schedule.json")) << write_schedule(x, p);
    expected_.push_back(p.makespan_s);
  }

  /// Largest difference of the makespans; every pair must be seen and be valid.
  double worst() const {
    const std::string command = "python3 " SKIPPIPE_SOURCE_DIR "/tests/scheduler/evaluate_all.py "
                                + instances().string() + " " + folder_.string();
    FILE* out = popen(command.c_str(), "r");
    REQUIRE(out != nullptr);
    unsigned pair = 0, violations = 0, seen = 0;
    double makespan = 0, worst = 0;
    while (std::fscanf(out, "%u %lf %u", &pair, &makespan, &violations) == 3) {
      ++seen;
      INFO("pair " << pair);
      REQUIRE(violations == 0);
      worst = std::max(worst, std::abs(makespan - expected_.at(pair)));
    }
    pclose(out);
    REQUIRE(seen == expected_.size());
    return worst;
  }

private:
  fs::path folder_;
  std::vector<double> expected_;
};

} // namespace

TEST_CASE("the simulator agrees with an independent evaluator", "[scheduler][evaluator]") {
  if (!fs::exists(instances() / "evaluate.py")) {
    WARN("no evaluator beside the sources, nothing to compare with");
    return;
  }
  evaluation pairs;
  const strategy kinds[] = {strategy::random, strategy::no_collision, strategy::cbs,
                            strategy::skippipe};
  for (const auto& entry : fs::directory_iterator(instances())) {
    const auto read = load_instance(entry.path().string());
    if (!read.value)
      continue;
    for (const strategy kind : kinds) {
      planner_options options;
      options.kind = kind;
      options.time_limit_s = 0.1;
      const auto made = make_plan(*read.value, options);
      pairs.add(*read.value, std::get<plan>(made));
    }
  }
  random_source random(23);
  for (int made_plans = 0; made_plans < 1000 / one_case_in(10);) {
    instance x = testing::random_instance(random);
    if (x.stages == 1)
      continue; // The evaluator needs a stage to balance.
    planner_options options;
    options.kind = kinds[random.below(4)];
    options.seed = random.next();
    options.max_iterations = 100;
    const auto made = make_plan(x, options);
    if (const plan* p = std::get_if<plan>(&made)) {
      pairs.add(x, *p);
      ++made_plans;
    }
  }
  CHECK(pairs.worst() <= 1e-9);
}

TEST_CASE("recorded schedules are read and timed as recorded", "[scheduler][evaluator]") {
  if (!fs::exists(instances() / "schedules"))
    return;
  for (const auto& entry : fs::directory_iterator(instances() / "schedules")) {
    std::string name = entry.path().filename().string();
    name = name.substr(0, name.find('.'));
    const auto x = load_instance((instances() / (name + ".json")).string());
    REQUIRE(x.value);
    const auto p = load_schedule(entry.path().string(), *x.value);
    INFO((p.problems.empty() ? "" : p.problems.front()));
    REQUIRE(p.value);
    CHECK(check_plan(*x.value, *p.value) == std::vector<std::string>{});
  }
}
