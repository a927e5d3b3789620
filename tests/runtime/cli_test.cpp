// The program as a user runs it: words, exit codes, what goes to stdout and what to stderr.
#include "program.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
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
  }));
  const auto [code, text] = errors_of(expected.words);
  CAPTURE(expected.words, text);
  CHECK(code == expected.code);
  CHECK(text.find(expected.line) != std::string::npos);
  CHECK(text.find("skippipe: ") == 0);
  CHECK(text.find('\n') == text.size() - 1);
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
