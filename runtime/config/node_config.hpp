// A node daemon and a local cluster as their TOML files describe them.
#pragma once

#include "runtime/config/address.hpp"
#include "runtime/config/problems.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace skippipe::runtime {

class toml_document;

/// How a node pretends to be elsewhere and slower; nominal, independent of the real tensors.
struct emulation_config {
  std::string location;        ///< Empty: no emulation of links.
  std::filesystem::path links; ///< Table of latencies and bandwidths between locations.
  double compute_s = 0;        ///< One stage's forward of one microbatch; 0: real compute.
  std::uint64_t payload_bytes = 0;
  std::uint64_t sync_bytes = 0;
  double time_scale = 1; ///< Emulated seconds per real second.
};

/// Measuring: links and replanning are the scheduler's, the warm-up is each node's own.
struct profile_config {
  bool enabled = true;
  std::uint32_t warmup_microbatches = 3; ///< On the real shard, before the first iteration,
  double warmup_s = 2;                   ///< in about so many seconds.
  std::uint64_t probe_bytes = std::uint64_t{4} << 20; ///< Of one direction of a link,
  double probe_s = 0.5;                               ///< and its seconds.
  double probe_total_s = 15;                          ///< Of all links, before a job starts.
  double fresh_s = 600;                               ///< So long a link's figures hold.
  double replan_gain = 0.05;        ///< Share of an iteration that a new plan must save,
  std::uint32_t replan_confirm = 3; ///< in so many iterations in a row.
  std::uint32_t replan_pause = 20;  ///< Iterations from one plan to the next.
  friend bool operator==(const profile_config&, const profile_config&) = default;
};

struct node_config {
  std::string name = "node";
  std::string cluster = "default";
  std::filesystem::path dir;      ///< What the daemon keeps; empty: .skippipe/NAME.
  address listen{"127.0.0.1", 0}; ///< Control plane.
  bool listens = true;            ///< False ("off"): this node only dials out.
  std::string advertise;          ///< Host (or HOST:PORT) told to others; empty: as listened on.
  address data_listen{"127.0.0.1", 0};
  port_range ports;
  std::string relay; ///< The node through which others reach our data plane; empty: directly.
  std::vector<address> seeds; ///< Empty: this node starts a cluster of its own.
  std::uint32_t memory_microbatches = 4;
  std::string device = "cpu"; ///< Or "cuda:N".
  unsigned threads = 1;
  std::string location;

  bool runs_scheduler = false;
  bool dedicated = false; ///< The scheduler's node serves no stage.
  std::filesystem::path journal;
  std::vector<std::string> voters;

  bool tls = false;
  std::filesystem::path ca, certificate, key;
  std::string token;             ///< One-time, for a node that joins for the first time.
  std::filesystem::path revoked; ///< Revocation list; empty: `revoked.pem` beside `ca`, if there.
  std::vector<std::string> trusted_interfaces; ///< Names or address prefixes that UCX may use.

  std::string data_backend = "ucx"; ///< Or "tls".
  std::uint32_t tls_streams = 4;
  std::string ucx_tls = "tcp"; ///< UCX transports.
  std::string wire_dtype = "float32";
  std::optional<address> relay_listen; ///< Where this node relays for others.
  bool sealed = false;                 ///< Payloads encrypted on top of the backend.

  double detect_within_s = 4;   ///< Every heartbeat, deadline and timeout derives from it.
  double transfer_share = 0.25; ///< Of the upload, for state transfers.
  double max_upload_mbps = 0;   ///< 0: no limit.
  bool trace = true;
  std::optional<address> metrics;
  std::string log_level = "info"; ///< debug, info, warning or error.
  emulation_config emulation;
  profile_config profile;

  std::filesystem::path state_dir() const {
    return dir.empty() ? std::filesystem::path{".skippipe"} / name : dir;
  }
  std::filesystem::path journal_dir() const {
    return journal.empty() ? state_dir() / "journal" : journal;
  }
};

/// A cluster of daemons on this machine; the first runs the scheduler and no stage.
struct cluster_config {
  std::string name = "local";
  std::uint32_t nodes = 9;
  std::filesystem::path dir = "runs/cluster"; ///< Keys, journal and logs.
  std::vector<std::string> locations; ///< Emulated, of the nodes but the first, over and over.
  node_config common;                 ///< What all nodes share.
};

/// Reads and checks everything; nullopt with all problems otherwise. `overrides` are --set words.
std::optional<node_config> load_node(const std::filesystem::path& file,
                                     const std::vector<std::string>& overrides,
                                     problem_list& problems);
std::optional<cluster_config> load_cluster(const std::filesystem::path& file,
                                           const std::vector<std::string>& overrides,
                                           problem_list& problems);
/// The same from a parsed document.
std::optional<node_config> read_node(const toml_document& document, problem_list& problems);
std::optional<cluster_config> read_cluster(const toml_document& document, problem_list& problems);

} // namespace skippipe::runtime
