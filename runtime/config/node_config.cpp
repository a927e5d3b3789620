#include "runtime/config/node_config.hpp"

#include "runtime/config/file_kind.hpp"
#include "runtime/config/interfaces.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/config/toml_document.hpp"

#include <algorithm>
#include <set>

namespace skippipe::runtime {

namespace {

constexpr std::int64_t most_bytes = std::int64_t{1} << 50;

void read_address(table_reader& table, const char* key, address& out) {
  std::string text;
  if (!table.text(key, text))
    return;
  if (const auto parsed = parse_address(text))
    out = *parsed;
  else
    table.complain(key, "expected HOST:PORT, got '" + text + "'");
}

void read_self(const toml_document& document, node_config& node, problem_list& problems) {
  table_reader table{document, "node", problems};
  if (table.text("name", node.name)
      && (node.name.empty() || node.name.find_first_of("/ \t\n") != std::string::npos))
    table.complain("name", "expected a name without '/' or spaces, got '" + node.name + "'");
  if (table.text("cluster", node.cluster) && node.cluster.empty())
    table.complain("cluster", "expected a name, got ''");
  table.path("dir", node.dir);
  std::string listen;
  if (table.text("listen", listen) && listen == "off")
    node.listens = false;
  else
    read_address(table, "listen", node.listen);
  if (table.text("advertise", node.advertise) && !parse_address(node.advertise)
      && !parse_address(node.advertise + ":0"))
    table.complain("advertise", "expected HOST or HOST:PORT, got '" + node.advertise + "'");
  node.data_listen.host = node.listen.host;
  read_address(table, "data_listen", node.data_listen);
  std::string ports;
  if (table.text("ports", ports)) {
    if (const auto range = parse_port_range(ports))
      node.ports = *range;
    else
      table.complain("ports", "expected LOW-HIGH within 1..65535, got '" + ports + "'");
  }
  if (table.text("relay", node.relay)) {
    if (node.relay.empty() || node.relay == node.name)
      table.complain("relay", "expected another node's name, got '" + node.relay + "'");
    if (table.has("data_listen"))
      table.complain("data_listen", "expected nothing, as node.relay = '" + node.relay
                                        + "' is how others reach this node");
  }
  std::vector<std::string> seeds;
  table.texts("seeds", seeds);
  for (const auto& seed : seeds) {
    const auto parsed = parse_address(seed);
    if (parsed && parsed->port != 0)
      node.seeds.push_back(*parsed);
    else
      table.complain("seeds", "expected HOST:PORT with a port in 1..65535, got '" + seed + "'");
  }
  table.integer("memory_microbatches", node.memory_microbatches, 1, 4096);
  if (table.text("device", node.device) && node.device != "cpu" && node.device != "cuda"
      && !node.device.starts_with("cuda:"))
    table.complain("device", "expected 'cpu' or 'cuda:N', got '" + node.device + "'");
  table.integer("threads", node.threads, 1, 4096);
  table.text("location", node.location);
  table.finish();
}

void read_scheduler(const toml_document& document, node_config& node, problem_list& problems) {
  table_reader table{document, "scheduler", problems};
  node.runs_scheduler = node.seeds.empty();
  const bool said = table.boolean("enabled", node.runs_scheduler);
  if (said && !node.runs_scheduler && node.seeds.empty())
    table.complain("enabled", "expected true, as node.seeds names no cluster to join, got false");
  if (node.runs_scheduler && (!node.listens || !node.relay.empty()))
    table.complain("enabled", "expected false, as others must reach the scheduler's node directly, "
                              "but node.listen is 'off' or node.relay is given; name a cluster to "
                              "join in node.seeds");
  table.boolean("dedicated", node.dedicated);
  if (node.dedicated && !node.runs_scheduler)
    table.complain("dedicated", "expected scheduler.enabled = true beside it");
  table.path("journal", node.journal);
  table.texts("voters", node.voters);
  std::set<std::string> seen;
  for (const auto& voter : node.voters)
    if (!seen.insert(voter).second)
      table.complain("voters", "expected each name once, got '" + voter + "' twice");
  table.finish();
}

bool only_loopback(const node_config& node) {
  const auto here = [](const address& a) { return is_loopback(a.host); };
  return here(node.listen) && here(node.data_listen)
         && std::all_of(node.seeds.begin(), node.seeds.end(), here);
}

void read_security(const toml_document& document, node_config& node, problem_list& problems,
                   bool keys_are_made) {
  table_reader table{document, "security", problems};
  std::string mode = only_loopback(node) ? "insecure" : "tls";
  table.choice("mode", mode, {"tls", "insecure"});
  node.tls = mode == "tls";
  table.path("ca", node.ca);
  table.path("certificate", node.certificate);
  table.path("key", node.key);
  table.path("revoked", node.revoked);
  table.text("token", node.token);
  table.texts("trusted_interfaces", node.trusted_interfaces);
  for (const auto& entry : node.trusted_interfaces)
    if (entry.empty()
        || (entry.find_first_of("/:") != std::string::npos && !address_prefix::parse(entry)))
      table.complain("trusted_interfaces",
                     "expected an interface's name or a prefix like 10.0.0.0/8, got '" + entry
                         + "'");
  table.finish();
  if (!node.tls && !only_loopback(node))
    table.complain("mode", "expected 'tls', as node.listen, node.data_listen or node.seeds leave "
                           "this machine, got 'insecure'");
  // With none of them the control plane would connect without any authentication.
  const std::pair<const char*, const std::filesystem::path*> files[] = {
      {"ca", &node.ca}, {"certificate", &node.certificate}, {"key", &node.key}};
  for (const auto& [key, file] : files)
    if (node.tls && !keys_are_made && file->empty() && !table.has(key))
      table.complain(key, "expected a file, as security.mode is 'tls'; `skippipe certs` makes it");
}

/// False when it is certain that UCX would listen where it must not; an interface's name can only be
/// looked up on the node itself.
bool may_be_trusted(const node_config& node) {
  if (is_loopback(node.data_listen.host))
    return true;
  return std::any_of(node.trusted_interfaces.begin(), node.trusted_interfaces.end(),
                     [&](const std::string& entry) {
                       const auto prefix = address_prefix::parse(entry);
                       return !prefix || prefix->contains(node.data_listen.host);
                     });
}

/// The first of UCX's transports that crosses memory of two processes; empty: none.
std::string shared_memory_in(const std::string& ucx_tls) {
  static const std::set<std::string> names = {"all",  "shm", "sm",    "mm",  "posix",
                                              "sysv", "cma", "xpmem", "knem"};
  std::string word;
  for (const char c : ucx_tls + ',')
    if (c != ',') {
      word += c;
    } else {
      if (names.contains(word))
        return word;
      word.clear();
    }
  return {};
}

void read_data_plane(const toml_document& document, node_config& node, problem_list& problems) {
  table_reader table{document, "data_plane", problems};
  table.choice("backend", node.data_backend, {"ucx", "tls"});
  table.integer("tls_streams", node.tls_streams, 1, 64);
  if (table.text("ucx_tls", node.ucx_tls) && node.ucx_tls.empty())
    table.complain("ucx_tls", "expected UCX transports such as 'tcp', got ''");
  if (const auto shared = shared_memory_in(node.ucx_tls); !shared.empty())
    table.complain("ucx_tls",
                   "expected network transports such as 'tcp' or 'rc,ud', as the death of "
                   "a peer in shared memory goes unnoticed, got '"
                       + shared + "'");
  table.choice("wire_dtype", node.wire_dtype, {"float32", "bfloat16"});
  table.boolean("sealed", node.sealed);
  if (table.has("relay_listen"))
    read_address(table, "relay_listen", node.relay_listen.emplace());
  table.finish();
  const char* needs_tls = !node.relay.empty()             ? "node.relay is given"
                          : node.relay_listen.has_value() ? "data_plane.relay_listen is given"
                                                          : nullptr;
  if (needs_tls != nullptr && node.data_backend != "tls")
    table.complain("backend", std::string{"expected 'tls', as "} + needs_tls + ", got '"
                                  + node.data_backend + "'");
  // UCX neither encrypts nor authenticates: whoever reaches its port can write memory, whether payloads
  // are sealed or not.
  if (node.data_backend == "ucx" && !may_be_trusted(node))
    table.complain("backend", "expected 'tls', as security.trusted_interfaces names no interface "
                              "for node.data_listen = '"
                                  + node.data_listen.text() + "', got 'ucx'");
  if (node.sealed && !node.tls)
    table.complain("sealed",
                   "expected false, as security.mode is 'insecure' and the job's secret would "
                   "travel in clear, got true");
  if (node.data_backend == "tls" && !node.tls)
    table.complain("backend", "expected 'ucx', as security.mode is 'insecure', got 'tls'");
}

void read_emulation(const toml_document& document, node_config& node, problem_list& problems) {
  table_reader table{document, "emulation", problems};
  auto& e = node.emulation;
  table.text("location", e.location);
  table.path("links", e.links);
  table.number("compute_s", e.compute_s, 0, 1e6);
  table.integer("payload_bytes", e.payload_bytes, 0, most_bytes);
  table.integer("sync_bytes", e.sync_bytes, 0, most_bytes);
  table.number("time_scale", e.time_scale, 1e-6, 1e6);
  table.finish();
  if (!e.location.empty() && e.links.empty())
    table.complain("links", "expected a table of links, as emulation.location is given");
  if (e.links.empty())
    return;
  try {
    const link_table known{e.links};
    if (!e.location.empty() && !known.knows(e.location))
      table.complain("location",
                     "expected a location of " + e.links.string() + ", got '" + e.location + "'");
  } catch (const std::exception& problem) {
    table.complain("links", problem.what());
  }
}

void read_profile(const toml_document& document, node_config& node, problem_list& problems) {
  table_reader table{document, "profile", problems};
  auto& p = node.profile;
  table.boolean("enabled", p.enabled);
  table.integer("warmup_microbatches", p.warmup_microbatches, 0, 1000);
  table.number("warmup_s", p.warmup_s, 0, 3600);
  table.integer("probe_bytes", p.probe_bytes, 65536, std::int64_t{1} << 30);
  table.number("probe_s", p.probe_s, 0.01, 60);
  table.number("probe_total_s", p.probe_total_s, 0, 3600);
  table.number("fresh_s", p.fresh_s, 0, 1e9);
  table.number("replan_gain", p.replan_gain, 0.001, 1);
  table.integer("replan_confirm", p.replan_confirm, 1, 1000);
  table.integer("replan_pause", p.replan_pause, 1, 1'000'000);
  table.finish();
}

/// `keys_are_made`: by `skippipe up`, so the file need not name them.
void read_all(const toml_document& document, node_config& node, problem_list& problems,
              bool keys_are_made = false) {
  read_self(document, node, problems);
  read_scheduler(document, node, problems);
  read_security(document, node, problems, keys_are_made);
  read_data_plane(document, node, problems);
  read_emulation(document, node, problems);
  read_profile(document, node, problems);
  {
    table_reader table{document, "failure", problems};
    table.number("detect_within_s", node.detect_within_s, 0.5, 3600);
    table.finish();
  }
  {
    table_reader table{document, "transfer", problems};
    table.number("max_share", node.transfer_share, 0.01, 1);
    table.finish();
  }
  {
    table_reader table{document, "limits", problems};
    table.number("max_upload_mbps", node.max_upload_mbps, 0, 1e9);
    table.finish();
  }
  {
    table_reader table{document, "trace", problems};
    table.boolean("enabled", node.trace);
    table.finish();
  }
  {
    table_reader table{document, "log", problems};
    table.choice("level", node.log_level, {"debug", "info", "warning", "error"});
    table.finish();
  }
  table_reader table{document, "metrics", problems};
  if (table.has("listen"))
    read_address(table, "listen", node.metrics.emplace());
  table.finish();
}

void read_root(const toml_document& document, file_kind kind, problem_list& problems) {
  table_reader root{document, "", problems};
  for (const auto& name : tables_of(kind))
    root.accept(name);
  root.finish();
}

std::optional<toml_document> open(const std::filesystem::path& file,
                                  const std::vector<std::string>& overrides,
                                  problem_list& problems) {
  auto document = toml_document::load(file, problems);
  if (document)
    for (const auto& word : overrides)
      document->override_key(word, problems);
  return document;
}

} // namespace

std::optional<node_config> read_node(const toml_document& document, problem_list& problems) {
  if (is_of_other_kind(document, file_kind::node, problems))
    return std::nullopt;
  node_config node;
  read_root(document, file_kind::node, problems);
  read_all(document, node, problems);
  return problems.empty() ? std::optional{node} : std::nullopt;
}

std::optional<cluster_config> read_cluster(const toml_document& document, problem_list& problems) {
  if (is_of_other_kind(document, file_kind::cluster, problems))
    return std::nullopt;
  cluster_config cluster;
  read_root(document, file_kind::cluster, problems);
  read_all(document, cluster.common, problems, true);
  table_reader table{document, "cluster", problems};
  if (table.text("name", cluster.name)
      && (cluster.name.empty() || cluster.name.find_first_of("/ \t\n") != std::string::npos))
    table.complain("name", "expected a name without '/' or spaces, got '" + cluster.name + "'");
  // The first only schedules; someone has to train.
  table.integer("nodes", cluster.nodes, 2, 4096);
  table.path("dir", cluster.dir);
  if (table.texts("locations", cluster.locations) && cluster.common.emulation.links.empty())
    table.complain("locations", "expected emulation.links, a table of links, beside it");
  table.finish();
  return problems.empty() ? std::optional{cluster} : std::nullopt;
}

std::optional<node_config> load_node(const std::filesystem::path& file,
                                     const std::vector<std::string>& overrides,
                                     problem_list& problems) {
  const auto document = open(file, overrides, problems);
  return document ? read_node(*document, problems) : std::nullopt;
}

std::optional<cluster_config> load_cluster(const std::filesystem::path& file,
                                           const std::vector<std::string>& overrides,
                                           problem_list& problems) {
  const auto document = open(file, overrides, problems);
  return document ? read_cluster(*document, problems) : std::nullopt;
}

} // namespace skippipe::runtime
