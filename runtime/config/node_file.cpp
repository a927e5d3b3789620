#include "runtime/config/node_file.hpp"

#include <toml++/toml.h>

#include <map>
#include <sstream>

namespace skippipe::runtime {

namespace {

toml::array texts(const std::vector<std::string>& values) {
  toml::array result;
  for (const auto& value : values)
    result.push_back(value);
  return result;
}

toml::table table_of(const node_config& node) {
  toml::table self{{"name", node.name},
                   {"cluster", node.cluster},
                   {"dir", node.state_dir().string()},
                   {"listen", node.listens ? node.listen.text() : "off"},
                   {"memory_microbatches", node.memory_microbatches},
                   {"device", node.device},
                   {"threads", node.threads},
                   {"location", node.location}};
  if (node.relay.empty())
    self.insert("data_listen", node.data_listen.text());
  else
    self.insert("relay", node.relay);
  if (!node.advertise.empty())
    self.insert("advertise", node.advertise);
  if (node.ports.low != 0)
    self.insert("ports", std::to_string(node.ports.low) + "-" + std::to_string(node.ports.high));
  toml::array seeds;
  for (const auto& seed : node.seeds)
    seeds.push_back(seed.text());
  self.insert("seeds", seeds);

  toml::table scheduler{{"enabled", node.runs_scheduler}, {"dedicated", node.dedicated}};
  if (!node.journal.empty())
    scheduler.insert("journal", node.journal.string());
  if (!node.voters.empty())
    scheduler.insert("voters", texts(node.voters));
  toml::table security{{"mode", node.tls ? "tls" : "insecure"},
                       {"trusted_interfaces", texts(node.trusted_interfaces)}};
  if (!node.token.empty())
    security.insert("token", node.token);
  if (!node.revoked.empty())
    security.insert("revoked", node.revoked.string());
  if (node.tls) {
    security.insert("ca", node.ca.string());
    security.insert("certificate", node.certificate.string());
    security.insert("key", node.key.string());
  }
  toml::table data{{"backend", node.data_backend},
                   {"tls_streams", node.tls_streams},
                   {"ucx_tls", node.ucx_tls},
                   {"wire_dtype", node.wire_dtype},
                   {"sealed", node.sealed}};
  if (node.relay_listen)
    data.insert("relay_listen", node.relay_listen->text());
  toml::table file{{"node", self},
                   {"scheduler", scheduler},
                   {"security", security},
                   {"data_plane", data},
                   {"failure", toml::table{{"detect_within_s", node.detect_within_s}}},
                   {"transfer", toml::table{{"max_share", node.transfer_share}}},
                   {"limits", toml::table{{"max_upload_mbps", node.max_upload_mbps}}},
                   {"trace", toml::table{{"enabled", node.trace}}},
                   {"log", toml::table{{"level", node.log_level}}}};
  if (node.metrics)
    file.insert("metrics", toml::table{{"listen", node.metrics->text()}});
  const auto& p = node.profile;
  file.insert("profile", toml::table{{"enabled", p.enabled},
                                     {"warmup_microbatches", p.warmup_microbatches},
                                     {"warmup_s", p.warmup_s},
                                     {"probe_bytes", static_cast<std::int64_t>(p.probe_bytes)},
                                     {"probe_s", p.probe_s},
                                     {"probe_total_s", p.probe_total_s},
                                     {"fresh_s", p.fresh_s},
                                     {"replan_gain", p.replan_gain},
                                     {"replan_confirm", p.replan_confirm},
                                     {"replan_pause", p.replan_pause}});
  const auto& e = node.emulation;
  toml::table emulation{{"compute_s", e.compute_s},
                        {"payload_bytes", static_cast<std::int64_t>(e.payload_bytes)},
                        {"sync_bytes", static_cast<std::int64_t>(e.sync_bytes)},
                        {"time_scale", e.time_scale}};
  if (!e.location.empty())
    emulation.insert("location", e.location);
  if (!e.links.empty())
    emulation.insert("links", e.links.string());
  file.insert("emulation", emulation);
  return file;
}

/// "node.threads" and its value as text.
std::map<std::string, std::string> flat(const toml::table& file) {
  std::map<std::string, std::string> all;
  for (auto&& [table, keys] : file)
    for (auto&& [key, value] : *keys.as_table()) {
      std::ostringstream text;
      value.visit([&](const auto& node) { text << node; });
      all[std::string{table.str()} + "." + std::string{key.str()}] = text.str();
    }
  return all;
}

} // namespace

std::string node_file_text(const node_config& node) {
  std::ostringstream out;
  out << "# Written by `skippipe up`.\n" << table_of(node) << '\n';
  return out.str();
}

std::string cluster_of_node_file(const std::filesystem::path& file) {
  try {
    return toml::parse_file(file.string())["node"]["cluster"].value_or(std::string{});
  } catch (const toml::parse_error&) {
    return {};
  }
}

std::vector<std::string> changed_keys(const node_config& before, const node_config& after) {
  const auto old = flat(table_of(before)), fresh = flat(table_of(after));
  auto all = old;
  all.insert(fresh.begin(), fresh.end());
  std::vector<std::string> changed;
  for (const auto& [key, value] : all) {
    const auto was = old.find(key), is = fresh.find(key);
    if (was == old.end() || is == fresh.end() || was->second != is->second)
      changed.push_back(key);
  }
  return changed;
}

} // namespace skippipe::runtime
