// Node and cluster files: what they say, and what they must not say.
#include "runtime/config/default_files.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/node_file.hpp"
#include "runtime/config/toml_document.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace skippipe::runtime;

namespace {

template <class Config>
struct outcome {
  std::optional<Config> config;
  std::string problems;
};

outcome<node_config> node_of(const std::string& text) {
  problem_list problems;
  const auto document = toml_document::parse(text, "dir/node.toml", problems);
  REQUIRE(document);
  auto config = read_node(*document, problems);
  return {std::move(config), problems.text()};
}

outcome<cluster_config> cluster_of(const std::string& text) {
  problem_list problems;
  const auto document = toml_document::parse(text, "cluster.toml", problems);
  REQUIRE(document);
  auto config = read_cluster(*document, problems);
  return {std::move(config), problems.text()};
}

const std::string secured = "[security]\nmode = 'tls'\nca = 'ca.pem'\ncertificate = 'n.pem'\n"
                            "key = 'n.key'\n";

} // namespace

TEST_CASE("an empty node file is a cluster of its own on this machine", "[config][node]") {
  const auto [node, problems] = node_of("");
  REQUIRE(problems == "");
  REQUIRE(node);
  CHECK(node->runs_scheduler);
  CHECK_FALSE(node->tls);
  CHECK(is_loopback(node->listen.host));
  CHECK(is_loopback(node->data_listen.host));
  CHECK(node->detect_within_s == 4);
}

TEST_CASE("the default files are what absent keys mean", "[config][node]") {
  const auto [node, problems] = node_of(default_file("node"));
  REQUIRE(problems == "");
  const auto empty = node_of("").config;
  CHECK(node->listen == empty->listen);
  CHECK(node->data_listen == empty->data_listen);
  CHECK(node->memory_microbatches == empty->memory_microbatches);
  CHECK(node->threads == empty->threads);
  CHECK(node->runs_scheduler == empty->runs_scheduler);
  CHECK(node->tls == empty->tls);
  CHECK(node->data_backend == empty->data_backend);
  CHECK(node->tls_streams == empty->tls_streams);
  CHECK(node->ucx_tls == empty->ucx_tls);
  CHECK(node->wire_dtype == empty->wire_dtype);
  CHECK(node->detect_within_s == empty->detect_within_s);
  CHECK(node->transfer_share == empty->transfer_share);
  CHECK(node->max_upload_mbps == empty->max_upload_mbps);
  CHECK(node->trace == empty->trace);
  CHECK(node->profile == empty->profile);

  const auto cluster = cluster_of(default_file("cluster"));
  REQUIRE(cluster.problems == "");
  CHECK(cluster.config->nodes == cluster_config{}.nodes);
  CHECK(cluster.config->name == cluster_config{}.name);
  CHECK(default_file("nod") == "");
}

TEST_CASE("a worker on a LAN is read in full", "[config][node]") {
  const auto [node, problems] =
      node_of("[node]\nname = 'paris-1'\nlisten = '10.0.0.5:7000'\nadvertise = 'paris.lan'\n"
              "data_listen = '[fd00::5]:7100'\nports = '7100-7199'\n"
              "seeds = ['10.0.0.1:7000']\nmemory_microbatches = 3\ndevice = 'cuda:1'\n"
              + secured
              + "trusted_interfaces = ['eth1']\n[failure]\ndetect_within_s = 2\n"
                "[metrics]\nlisten = '127.0.0.1:9400'\n");
  REQUIRE(problems == "");
  CHECK(node->listen == address{"10.0.0.5", 7000});
  CHECK(node->data_listen == address{"fd00::5", 7100});
  CHECK(node->data_listen.text() == "[fd00::5]:7100");
  CHECK(node->ports == port_range{7100, 7199});
  CHECK_FALSE(node->runs_scheduler);
  CHECK(node->tls);
  CHECK(node->ca == "dir/ca.pem"); // Beside the configuration file.
  CHECK(node->detect_within_s == 2);
  CHECK(node->metrics == address{"127.0.0.1", 9400});
}

TEST_CASE("what may be measured is read and bounded", "[config][node]") {
  const auto [node, problems] = node_of("[profile]\nenabled = false\nwarmup_microbatches = 0\n"
                                        "probe_bytes = 65536\nreplan_gain = 0.5\n");
  REQUIRE(problems == "");
  CHECK_FALSE(node->profile.enabled);
  CHECK(node->profile.warmup_microbatches == 0);
  CHECK(node->profile.probe_bytes == 65536);
  CHECK(node->profile.replan_gain == 0.5);
  const auto wrong = node_of("[profile]\nprobe_bytes = 1000\nprobe_s = 0\nreplan_gain = 0\n"
                             "replan_confirm = 0\nreplan_cofirm = 1\n");
  CHECK(wrong.problems.find("profile.probe_bytes: expected") != std::string::npos);
  CHECK(wrong.problems.find("profile.probe_s: expected") != std::string::npos);
  CHECK(wrong.problems.find("profile.replan_gain: expected") != std::string::npos);
  CHECK(wrong.problems.find("profile.replan_confirm: expected") != std::string::npos);
  CHECK(wrong.problems.find("did you mean 'replan_confirm'") != std::string::npos);
}

TEST_CASE("a node that only dials out is read", "[config][node]") {
  const auto [node, problems] = node_of("[node]\nname = 'home'\nlisten = 'off'\nrelay = 'gateway'\n"
                                        "seeds = ['10.0.0.1:7000']\n"
                                        + secured + "[data_plane]\nbackend = 'tls'\n");
  REQUIRE(problems == "");
  CHECK_FALSE(node->listens);
  CHECK(node->relay == "gateway");
  const auto [relay, none] =
      node_of("[node]\nseeds = ['10.0.0.1:7000']\n" + secured
              + "[data_plane]\nbackend = 'tls'\nrelay_listen = '0.0.0.0:7002'\n");
  REQUIRE(none == "");
  CHECK(relay->relay_listen == address{"0.0.0.0", 7002});
}

TEST_CASE("bad node files name the key and what was expected", "[config][node]") {
  const auto [text, expected] = GENERATE_COPY(table<std::string, std::string>({
      {"[node]\nname = 7", "dir/node.toml:2:8: node.name: expected a string, got 7"},
      {"[node]\nname = 'a b'", "2:8: node.name: expected a name without"},
      {"[node]\nlisten = 'here'", "2:10: node.listen: expected HOST:PORT, got 'here'"},
      {"[node]\nlisten = '1.2.3.4:70000'", "node.listen: expected HOST:PORT"},
      {"[node]\nlisten = 'a b:1'", "node.listen: expected HOST:PORT"},
      {"[node]\nadvertise = ':'", "node.advertise: expected HOST or HOST:PORT"},
      {"[node]\nports = '7199-7100'", "2:9: node.ports: expected LOW-HIGH"},
      {"[node]\nports = '0-10'", "node.ports: expected LOW-HIGH"},
      {"[node]\nseeds = ['127.0.0.1:0']", "node.seeds: expected HOST:PORT with a port"},
      {"[node]\nseeds = [1]", "node.seeds: expected strings, got 1"},
      {"[node]\nmemory_microbatches = 0",
       "2:23: node.memory_microbatches: expected an integer in 1..4096, got 0"},
      {"[node]\ndevice = 'gpu'", "node.device: expected 'cpu' or 'cuda:N', got 'gpu'"},
      {"[failure]\nheartbeet_ms = 1", "2:1: failure: unknown key 'heartbeet_ms'"},
      {"[secrity]\nmode = 'tls'", "unknown key 'secrity', did you mean 'security'?"},
      {"[scheduler]\nenabled = false", "scheduler.enabled: expected true, as node.seeds names no"},
      {"[scheduler]\nvoters = ['a', 'b', 'a']", "scheduler.voters: expected each name once"},
      {"[security]\nmode = 'tls'", "security.ca: expected a file"},
      {"[security]\nmode = 'none'", "security.mode: expected one of tls, insecure, got 'none'"},
      // Beyond this machine nothing goes without authentication.
      {"[node]\nlisten = '0.0.0.0:7000'", "security.ca: expected a file"},
      {"[node]\nlisten = '0.0.0.0:7000'\n[security]\nmode = 'insecure'",
       "security.mode: expected 'tls'"},
      {"[node]\nlisten = '127.evil.org:7000'\n[security]\nmode = 'insecure'",
       "security.mode: expected 'tls'"},
      {"[node]\nlisten = '10.0.0.5:7000'\n" + secured, "data_plane.backend: expected 'tls'"},
      {"[data_plane]\nbackend = 'tls'", "data_plane.backend: expected 'ucx'"},
      {"[data_plane]\ntls_streams = 0", "data_plane.tls_streams: expected an integer in 1..64"},
      {"[failure]\ndetect_within_s = 0.1", "failure.detect_within_s: expected a number in 0.5"},
      {"[transfer]\nmax_share = 2", "transfer.max_share: expected a number"},
      {"[data_plane]\nucx_tls = 'tcp,posix'", "data_plane.ucx_tls: expected network transports "
                                              "such as 'tcp' or 'rc,ud', as the death of a "
                                              "peer in shared memory goes unnoticed, got 'posix'"},
      {"[data_plane]\nucx_tls = ''", "data_plane.ucx_tls: expected UCX transports"},
      {"[metrics]\nlisten = 9400", "metrics.listen: expected a string, got 9400"},
      {"[emulation]\nlocation = 'x'", "emulation.links: expected a table of links"},
      {"[emulation]\nlinks = 'l.json'", "emulation.links: dir/l.json: cannot be read"},
      {"[data_plane]\nsealed = true", "data_plane.sealed: expected false"},
      {"[emulation]\ntime_scale = 0", "emulation.time_scale: expected a number"},
      {"node = 3", "node: expected a table"},
      {"[node]\nlisten = 'off'", "scheduler.enabled: expected false, as others must reach"},
      {"[node]\nrelay = ''", "node.relay: expected another node's name, got ''"},
      {"[node]\nname = 'a'\nrelay = 'a'", "node.relay: expected another node's name, got 'a'"},
      {"[node]\nrelay = 'a'\ndata_listen = '127.0.0.1:0'", "node.data_listen: expected nothing"},
      {"[node]\nrelay = 'a'", "data_plane.backend: expected 'tls', as node.relay is given"},
      {"[data_plane]\nrelay_listen = '127.0.0.1:0'",
       "data_plane.backend: expected 'tls', as data_plane.relay_listen is given"},
  }));
  const auto [node, problems] = node_of(text);
  CAPTURE(text, problems);
  CHECK_FALSE(node);
  CHECK(problems.find(expected) != std::string::npos);
}

TEST_CASE("all problems come at once, in the order of the file", "[config][node]") {
  const auto [node, problems] = node_of("[node]\ndevice = 'tpu'\nname = ''\n[failure]\nx = 1\n");
  CHECK_FALSE(node);
  const auto device = problems.find(":2:"), name = problems.find(":3:"), x = problems.find(":5:");
  REQUIRE(x != std::string::npos);
  CHECK(device < name);
  CHECK(name < x);
}

TEST_CASE("a cluster of one node trains nothing", "[config][cluster]") {
  const auto [cluster, problems] = cluster_of("[cluster]\nnodes = 1");
  CHECK_FALSE(cluster);
  CHECK(problems.find("cluster.toml:2:9: cluster.nodes: expected an integer in 2..4096, got 1")
        != std::string::npos);
}

TEST_CASE("paths are shown without detours, and mean what they did", "[config][node]") {
  testing::scratch_folder folder;
  namespace fs = std::filesystem;
  fs::create_directories(folder.path() / "site/configs");
  fs::create_directories(folder.path() / "elsewhere/configs");
  fs::create_directory_symlink(folder.path() / "elsewhere/configs", folder.path() / "linked");
  const auto dir_of = [&](const std::string& configs) {
    problem_list problems;
    const auto document = toml_document::parse(
        "[node]\ndir = '../runs/./a'", (folder.path() / configs / "n.toml").string(), problems);
    return read_node(*document, problems)->dir;
  };
  CHECK(dir_of("site/configs") == folder.path() / "site/runs/a");
  // Behind the link ".." is another folder than it looks.
  CHECK(fs::weakly_canonical(dir_of("linked"))
        == fs::canonical(folder.path()) / "elsewhere/runs/a");
  // Of a file that is named by a relative path.
  const auto [node, problems] = node_of("[node]\ndir = '../runs'");
  CHECK(problems == "");
  CHECK(node->dir == "runs");
  CHECK_THAT(node_of("[emulation]\nlinks = '../l.json'").problems,
             Catch::Contains("emulation.links: l.json: cannot be read"));
}

namespace {

/// Every key of a node's file that `config default node` shows.
std::set<std::string> all_keys() {
  std::set<std::string> keys;
  std::istringstream lines{default_file("node")};
  const std::regex table{"^(?:# )?\\[(\\w+)\\].*"}, key{"^(?:# )?(\\w+) = .*"};
  std::string line, in;
  for (std::smatch found; std::getline(lines, line);)
    if (std::regex_match(line, found, table))
      in = found[1];
    else if (std::regex_match(line, found, key))
      keys.insert(in + "." + found[1].str());
  return keys;
}

node_config with(const std::vector<std::string>& words) {
  problem_list problems;
  auto document = toml_document::parse("[node]\nseeds = ['127.0.0.1:7000']\ndir = 'd'\n" + secured
                                           + "[data_plane]\nbackend = 'tls'\n",
                                       "dir/node.toml", problems);
  for (const auto& word : words)
    document->override_key(word, problems);
  const auto node = read_node(*document, problems);
  INFO(problems.text());
  REQUIRE(node);
  return *node;
}

} // namespace

TEST_CASE("the keys in which two configurations differ are named, whichever they are",
          "[config][node]") {
  const auto links = "emulation.links=\"" SKIPPIPE_SOURCE_DIR "/configs/twelve-regions.json\"";
  // Each with what else it needs.
  const std::map<std::string, std::vector<std::string>> changes = {
      {"node.name", {"b"}},
      {"node.cluster", {"b"}},
      {"node.dir", {"b"}},
      {"node.listen", {"127.0.0.1:7100"}},
      {"node.advertise", {"b"}},
      {"node.data_listen", {"127.0.0.1:7100"}},
      {"node.ports", {"7100-7199"}},
      {"node.relay", {"b"}},
      {"node.seeds", {"['127.0.0.1:7001']"}},
      {"node.memory_microbatches", {"5"}},
      {"node.device", {"cuda:1"}},
      {"node.threads", {"2"}},
      {"node.location", {"b"}},
      {"scheduler.enabled", {"true"}},
      {"scheduler.dedicated", {"true", "scheduler.enabled=true"}},
      {"scheduler.journal", {"b"}},
      {"scheduler.voters", {"['b']"}},
      {"security.mode", {"insecure", "data_plane.backend=ucx"}},
      {"security.ca", {"b"}},
      {"security.certificate", {"b"}},
      {"security.key", {"b"}},
      {"security.revoked", {"b"}},
      {"security.token", {"b"}},
      {"security.trusted_interfaces", {"['b']"}},
      {"data_plane.backend", {"ucx"}},
      {"data_plane.tls_streams", {"2"}},
      {"data_plane.ucx_tls", {"rc"}},
      {"data_plane.wire_dtype", {"bfloat16"}},
      {"data_plane.sealed", {"true"}},
      {"data_plane.relay_listen", {"127.0.0.1:7100"}},
      {"failure.detect_within_s", {"5"}},
      {"transfer.max_share", {"0.5"}},
      {"limits.max_upload_mbps", {"5"}},
      {"trace.enabled", {"false"}},
      {"log.level", {"debug"}},
      {"profile.enabled", {"false"}},
      {"profile.warmup_microbatches", {"5"}},
      {"profile.warmup_s", {"5"}},
      {"profile.probe_bytes", {"65536"}},
      {"profile.probe_s", {"5"}},
      {"profile.probe_total_s", {"5"}},
      {"profile.fresh_s", {"5"}},
      {"profile.replan_gain", {"0.5"}},
      {"profile.replan_confirm", {"5"}},
      {"profile.replan_pause", {"5"}},
      {"metrics.listen", {"127.0.0.1:7100"}},
      {"emulation.location", {"London", links}},
      {"emulation.links", {SKIPPIPE_SOURCE_DIR "/configs/twelve-regions.json"}},
      {"emulation.compute_s", {"5"}},
      {"emulation.payload_bytes", {"5"}},
      {"emulation.sync_bytes", {"5"}},
      {"emulation.time_scale", {"5"}}};
  std::set<std::string> tried;
  for (const auto& [key, words] : changes) {
    auto needed = words;
    needed.front() = key + "=" + words.front();
    CAPTURE(key);
    const auto other = with(needed);
    const auto found = changed_keys(with({}), other);
    CHECK(std::count(found.begin(), found.end(), key) == 1);
    CHECK(changed_keys(other, other).empty());
    // As a file, too, it is the same.
    problem_list problems;
    const auto document = toml_document::parse(node_file_text(other), "node.toml", problems);
    CHECK(changed_keys(*read_node(*document, problems), other).empty());
    tried.insert(key);
  }
  CHECK(tried == all_keys());
}
