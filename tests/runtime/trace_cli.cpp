// skippipe trace as a user runs it: words, codes, what goes to stdout and what to stderr.
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

using namespace skippipe;
using namespace skippipe::test;

namespace {

struct answer {
  int code = -1;
  std::string out;
};

// stderr instead of stdout with `errors`. The working directory is `dir`.
answer run(const std::filesystem::path& dir, const std::string& words, bool errors = false) {
  const auto line = "cd '" + dir.string() + "' && '" SKIPPIPE_BINARY_DIR "/skippipe' trace " + words
                    + (errors ? " 2>&1 >/dev/null" : " 2>/dev/null");
  answer a;
  auto* pipe = ::popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    a.out.append(buffer, n);
  const int status = ::pclose(pipe);
  a.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return a;
}

} // namespace

TEST_CASE("skippipe trace on a run folder", "[trace][cli]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path / "runs" / "job 1", plan,
            {run_pipeline(plan, {}, 1, 0).events, run_pipeline(plan, {}, 2, 3'000'000'000).events});

  // The newest run is found without being named.
  const auto shown = run(dir.path, "show 2 --iteration 1 --json");
  CHECK(shown.code == 0);
  CHECK(nlohmann::json::parse(shown.out)["hops"].size() == 7);
  CHECK(run(dir.path, "show 2 --iteration 1").out.find("microbatch 2 of iteration 1") == 0);
  CHECK(nlohmann::json::parse(run(dir.path, "show --json").out)["iterations"].size() == 2);
  CHECK(nlohmann::json::parse(run(dir.path, "explain 2 --json").out)["iteration"] == 2);

  // Which one that is is said, apart from what it holds.
  for (const char* words : {"show", "show --json", "show 2 --iteration 1", "explain 2 --json",
                            "stuck", "export --out t.json --json"})
    CHECK(run(dir.path, words, true).out == "trace of runs/job 1\n");
  CHECK(run(dir.path, "show --run-dir 'runs/job 1'", true).out.empty());
  CHECK(run(dir.path, "export --iteration 2..9 --run-dir 'runs/job 1' --out t.json", true).out
        == "skippipe: note: of iterations 2..9 the trace holds 2: these are exported\n");
  CHECK(run(dir.path, "export --iteration 1..2 --run-dir 'runs/job 1' --out t.json", true)
            .out.empty());

  const auto named = run("/", "export --format chrome --iteration 1..2 --run-dir '"
                                  + (dir.path / "runs" / "job 1").string() + "' --out '"
                                  + (dir.path / "t.json").string() + "'");
  CHECK(named.code == 0);
  CHECK(std::filesystem::file_size(dir.path / "t.json") > 10'000);

  struct refusal {
    const char* words;
    int code;
    const char* line;
  };
  for (const auto& [words, code, line] :
       std::vector<refusal>{{"show 9 --iteration 1", 1, "it holds microbatches 0..3"},
                            {"show 1 --iteration 7", 1, "it holds iterations 1..2"},
                            {"show 1", 2, "--iteration"},
                            {"show one --iteration 1", 2, "one"},
                            {"explain 0", 2, "counted from 1, got '0'"},
                            {"explain 1..2", 2, "counted from 1"},
                            {"export", 2, "--out"},
                            {"show --run-dir nowhere", 1, "nowhere: no such run folder"},
                            {"export --out x --iteration b", 2, "got 'b'"}}) {
    INFO(words);
    const auto a = run(dir.path, words, true);
    CHECK(a.code == code);
    CHECK(a.out.find(line) != std::string::npos);
    CHECK(a.out.find("skippipe: ") == 0);
    CHECK(a.out.find('\n') == a.out.size() - 1);
    CHECK(run(dir.path, words).out.empty());
  }
}
