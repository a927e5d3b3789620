// The program as a user runs it: words, exit codes, what goes to stdout and what to stderr.
#include "program.hpp"
#include "runtime/cli.hpp"
#include "runtime/commands/natural_order.hpp"
#include "runtime/commands/plan_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace fs = std::filesystem;
using namespace skippipe::runtime::testing;

namespace {

struct scratch {
  scratch() : path(fs::temp_directory_path() / ("skippipe-cli-" + std::to_string(::getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~scratch() { fs::remove_all(path); }
  fs::path path;
};

} // namespace

TEST_CASE("an error is one line that names the word, and its exit code", "[cli]") {
  struct refusal {
    const char* words;
    int code;
    const char* line;
  };
  const auto expected = GENERATE(values<refusal>({
      {"", 2, "skippipe: A subcommand is required"},
      {"simulat", 2, "skippipe: unknown word 'simulat', did you mean 'simulate'?"},
      {"config chek x", 2, "skippipe: unknown word 'chek', did you mean 'check'?"},
      {"config check", 2, "skippipe: FILE is required"},
      {"plan --instnce x", 2, "skippipe: unknown word '--instnce', did you mean '--instance'?"},
      {"config default nod", 2, "got 'nod', did you mean 'node'?"},
      {"config check /nowhere/x.toml", 1,
       "skippipe: /nowhere/x.toml: cannot be read: No such file"},
      {"config check /", 1, "skippipe: /: "},
      {"train x.toml --cluster a:1 --seed -1", 2, "0..9223372036854775807, got '-1'"},
      {"train x.toml --cluster a:1 --iterations 0", 2, "1..9223372036854775807, got '0'"},
      {"train " SKIPPIPE_SOURCE_DIR "/configs/quickstart.toml --cluster a:1 --set train.lr", 2,
       "skippipe: --set: expected key=value, got 'train.lr'"},
      {"train " SKIPPIPE_SOURCE_DIR "/configs/quickstart.toml --cluster a:1 --set train.lt=1", 2,
       "skippipe: --set train.lt=1: train: unknown key 'lt', did you mean 'lr'?"},
      {"train " SKIPPIPE_SOURCE_DIR
       "/configs/quickstart.toml --cluster a:1 --set pipeline.skip_ratio=0.75",
       3, "pipeline.skip_ratio: no feasible plan: "},
      {"up " SKIPPIPE_SOURCE_DIR "/configs/local-cluster.toml --set cluster.nodes=1", 2,
       "skippipe: --set cluster.nodes=1: cluster.nodes: expected an integer in 2..4096, got 1"},
      {"up " SKIPPIPE_SOURCE_DIR "/configs/quickstart.toml", 1,
       "quickstart.toml: expected a cluster file, got a job file ("},
      {"train " SKIPPIPE_SOURCE_DIR "/configs/local-cluster.toml --cluster a:1", 1,
       "local-cluster.toml: expected a job file, got a cluster file ("},
  }));
  const auto [code, text] = errors_of(expected.words);
  CAPTURE(expected.words, text);
  CHECK(code == expected.code);
  CHECK(text.find(expected.line) != std::string::npos);
  CHECK(text.find("skippipe: ") == 0);
  CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("of an error with a backtrace the first line is shown", "[cli][R10]") {
  std::ostringstream shown;
  auto* before = std::cerr.rdbuf(shown.rdbuf());
  char name[] = "skippipe", word[] = "go";
  char* words[] = {name, word, nullptr};
  const auto code = skippipe::runtime::run_cli(2, words, [](CLI::App& app, auto& context) {
    app.add_subcommand("go")->callback([&context] {
      context.run = []() -> int { throw std::runtime_error("what it says\nframe #0\nframe #1"); };
    });
  });
  std::cerr.rdbuf(before);
  CHECK(code == 1);
  CHECK(shown.str() == "skippipe: what it says\n");
}

TEST_CASE("help and version go to stdout with exit code 0", "[cli]") {
  const auto version = out_of("--version");
  CHECK(version.code == 0);
  CHECK(version.text.starts_with("skippipe "));
  const auto help = out_of("--help");
  CHECK(help.code == 0);
  for (const auto* name : {"train", "config", "data", "plan", "trace"})
    CHECK(help.text.find(name) != std::string::npos);
}

TEST_CASE("what cannot be written is an error", "[cli]") {
  const auto* words = GENERATE("config default job", "--help", "--version", "plan --help",
                               "config check " SKIPPIPE_SOURCE_DIR "/configs/quickstart.toml",
                               "config check --json " SKIPPIPE_SOURCE_DIR "/configs/bf16.toml");
  CAPTURE(words);
  const auto [code, text] = shell(program + words + " 2>&1 >/dev/full");
  CHECK(code == 1);
  CHECK(text == "skippipe: standard output cannot be written: No space left on device\n");
  // To a reader that has seen enough nothing needs to be said.
  CHECK(shell("(" + program + words + " | true) 2>&1").text.empty());
}

TEST_CASE("the light program does not load LibTorch", "[cli]") {
  const auto libraries = shell("ldd " + program);
  REQUIRE(libraries.code == 0);
  CHECK(libraries.text.find("libstdc++") != std::string::npos);
  CHECK(libraries.text.find("libtorch") == std::string::npos);
  CHECK(libraries.text.find("libc10") == std::string::npos);
}

TEST_CASE("commands of the engine say so when it is missing", "[cli]") {
  scratch dir;
  fs::copy_file(SKIPPIPE_BINARY_DIR "/skippipe", dir.path / "skippipe");
  const auto copy = (dir.path / "skippipe").string();
  for (const auto* words : {"train x.toml", "eval", "generate"}) {
    const auto [code, text] = shell("'" + copy + "' " + words + " 2>&1");
    CAPTURE(words, text);
    CHECK(code == 1);
    CHECK(text.find("skippipe-engine cannot be started: No such file") != std::string::npos);
    CHECK(text.find('\n') == text.size() - 1);
  }
}

TEST_CASE("the engine starts with one BLAS thread unless told otherwise", "[cli]") {
  scratch dir;
  fs::copy_file(SKIPPIPE_BINARY_DIR "/skippipe", dir.path / "skippipe");
  const auto engine = dir.path / "skippipe-engine";
  std::ofstream(engine) << "#!/bin/sh\necho \"$OPENBLAS_NUM_THREADS $OMP_NUM_THREADS "
                           "$UCX_HANDLE_ERRORS $*\"\n";
  fs::permissions(engine, fs::perms::owner_all);
  const auto copy = "'" + (dir.path / "skippipe").string() + "' train a.toml --json";
  const std::string clear = "unset OPENBLAS_NUM_THREADS OMP_NUM_THREADS UCX_HANDLE_ERRORS; ";
  CHECK(shell(clear + copy).text == "1 1 none train a.toml --json\n");
  CHECK(shell(clear + "OMP_NUM_THREADS=3 " + copy).text == "1 3 none train a.toml --json\n");
}

TEST_CASE("config default prints files that config check accepts", "[cli][config]") {
  scratch dir;
  for (const std::string kind : {"job", "node", "cluster"}) {
    const auto file = (dir.path / (kind + ".toml")).string();
    REQUIRE(out_of("config default " + kind + " > '" + file + "'").code == 0);
    const auto [code, text] = out_of("config check '" + file + "'");
    CAPTURE(kind, text);
    CHECK(code == 0);
    CHECK(text.find(": OK (" + kind + ")") != std::string::npos);
    CHECK((text.find("all 4 nodes in one process") != std::string::npos) == (kind == "job"));
    const auto json = nlohmann::json::parse(out_of("config check --json '" + file + "'").text);
    CHECK(json["kind"] == kind);
    CHECK(json.contains("memory_bytes") == (kind == "job"));
  }
}

TEST_CASE("config check prints every problem and fails", "[cli][config]") {
  scratch dir;
  const auto file = (dir.path / "n.toml").string();
  std::ofstream(file) << "[node]\ndevice = 'tpu'\n[failure]\ndetect_within_s = 0\n";
  const auto [code, text] = errors_of("config check '" + file + "'");
  CHECK(code == 1);
  CHECK(text.find(file + ":2:10: node.device: expected") != std::string::npos);
  CHECK(text.find(file + ":4:19: failure.detect_within_s: expected") != std::string::npos);
}

TEST_CASE("with --json what is wrong with a file is JSON, too", "[cli][config]") {
  scratch dir;
  const auto file = (dir.path / "n.toml").string();
  std::ofstream(file) << "[node]\ndevice = 'tpu'\n[failure]\ndetect_within_s = 0\n";
  const auto [code, text] = out_of("config check --json '" + file + "'");
  CHECK(code == 1);
  const auto json = nlohmann::json::parse(text);
  CHECK(json["ok"] == false);
  CHECK(json["problems"].size() == 2);
  CHECK(json["problems"][0].get<std::string>().starts_with(file + ":2:10: node.device: "));
  const auto damaged = dir.path / "checkpoints" / "step-00000001";
  fs::create_directories(damaged);
  std::ofstream(damaged / "manifest.json") << "{";
  for (const auto* words : {"checkpoint info --json ", "checkpoint verify --json "})
    for (const auto& folder : {damaged, dir.path / "nowhere"}) {
      const auto [status, said] = out_of(words + ("'" + folder.string() + "'"));
      CAPTURE(words, folder, said);
      CHECK(status == 1);
      const auto object = nlohmann::json::parse(said);
      CHECK(object["valid"] == false);
      CHECK(object["path"] == folder.string());
      CHECK_FALSE(object["problem"].get<std::string>().empty());
    }
}

TEST_CASE("an authority that has issued nothing says so", "[cli][certs]") {
  scratch dir;
  const auto keys = (dir.path / "keys").string(), at = " --dir '" + keys + "'";
  REQUIRE(out_of("certs init" + at).code == 0);
  const auto listed = out_of("certs list" + at);
  CHECK(listed.code == 0);
  CHECK(listed.text
        == "no certificate was issued yet; next: skippipe certs issue NODE --dir " + keys + "\n");
  CHECK(out_of("certs list --json" + at).text.empty());
  for (const auto* what : {"renew", "revoke"}) {
    const auto [code, text] = errors_of("certs " + std::string{what} + " paris" + at);
    CHECK(code == 1);
    CHECK(text
          == "skippipe: no certificate was issued for 'paris'; `skippipe certs list --dir " + keys
                 + "` shows all\n");
  }
}

TEST_CASE("data prepare says when little is left to train on", "[cli][data]") {
  scratch dir;
  std::ofstream(dir.path / "a.txt") << std::string(4000, 'a');
  // With two files the one with the smaller hash is held out.
  int large = 0, small = 0;
  for (char letter = 'b'; letter < 'j'; ++letter) {
    const auto other = (dir.path / (std::string{letter} + ".txt")).string();
    const auto out = dir.path / std::string{letter};
    std::ofstream(other) << std::string(30, letter);
    const auto [code, text] =
        errors_of("data prepare --tokenizer byte --out '" + out.string() + "' --input '"
                  + (dir.path / "a.txt").string() + "' '" + other + "'");
    CHECK(code == 0);
    const auto data = nlohmann::json::parse(std::ifstream(out / "data.json"));
    const bool little = data["validation_tokens"] > data["train_tokens"];
    CHECK((text.find("warning: more tokens are held out") != std::string::npos) == little);
    ++(little ? large : small);
  }
  CHECK((large > 0 && small > 0));
}

TEST_CASE("help says what is and what is the default", "[cli]") {
  CHECK(out_of("nodes --help").text.find("HOST:PORT of any node of the cluster")
        != std::string::npos);
  const auto plan = out_of("plan --help").text;
  CHECK(plan.find("=skippipe") != std::string::npos);
  CHECK(plan.find("=5") != std::string::npos);
}

TEST_CASE("names are sorted by their numbers, a gap is not below zero by rounding", "[cli]") {
  using skippipe::runtime::by_number;
  std::vector<std::string> names = {"node-10", "node-2",   "b",   "node-1",
                                    "node-1b", "node-02c", "node"};
  std::sort(names.begin(), names.end(), by_number);
  CHECK(names
        == std::vector<std::string>{"b", "node", "node-1", "node-1b", "node-2", "node-02c",
                                    "node-10"});
  CHECK_FALSE(std::signbit(skippipe::runtime::gap_of(1 - 1e-15, 1)));
  CHECK(skippipe::runtime::gap_of(3, 2) == 0.5);
  CHECK(skippipe::runtime::gap_of(1, 2) < 0);
}

TEST_CASE("a cluster that cannot be reached is one line: what, where, what to do",
          "[cli][cluster]") {
  scratch dir;
  struct refusal {
    std::string words;
    const char* line;
  };
  const auto nobody =
      std::string("127.0.0.1:1: no node of a cluster answers: nobody listens there; "
                  "start the cluster, correct --cluster, or give its keys");
  std::vector<refusal> expected;
  for (const auto* words :
       {"nodes", "status", "jobs", "attach j-1", "stop j-1", "drain n", "trace follow",
        "trace show", "trace stuck", "trace explain 3", "trace export --out x"})
    expected.push_back({std::string(words) + " --cluster 127.0.0.1:1", nobody.c_str()});
  expected.push_back(
      {"nodes --cluster no-such-host.invalid:7", "no machine is known by that name"});
  expected.push_back(
      {"nodes --cluster 127.0.0.1", "--cluster: expected HOST:PORT, got '127.0.0.1'"});
  expected.push_back({"nodes --cluster 127.0.0.1:1 --keys '" + dir.path.string() + "'",
                      "holds no ca.pem; --keys takes a folder"});
  expected.push_back({"trace follow", "which cluster? give --cluster HOST:PORT"});
  for (const auto& [words, line] : expected) {
    const auto [code, text] =
        shell("env -u SKIPPIPE_CLUSTER -u SKIPPIPE_KEYS XDG_STATE_HOME='" + dir.path.string()
              + "' timeout 30 " + program + words + " 2>&1 >/dev/null");
    CAPTURE(words, text);
    CHECK((code == 1 || code == 2));
    CHECK(text.find(line) != std::string::npos);
    CHECK(text.find("skippipe: ") == 0);
    CHECK(text.find('\n') == text.size() - 1);
    for (const auto* raw : {"system(", "cannot_connect", "caf", "sec::"})
      CHECK(text.find(raw) == std::string::npos);
  }
}
