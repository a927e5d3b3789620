#include "runtime/check/node_check.hpp"

#include "runtime/check/probe.hpp"
#include "runtime/command_error.hpp"
#include "runtime/config/interfaces.hpp"
#include "runtime/security/key_check.hpp"

#include <algorithm>
#include <cstdio>

namespace skippipe::runtime {

namespace {

void check_files(const toml_document& document, const node_config& node, problem_list& problems,
                 std::vector<std::string>& warnings) {
  table_reader security{document, "security", problems};
  const auto revoked = node.revoked.empty() ? security::revoked_beside(node.ca) : node.revoked;
  auto report = security::check_keys({node.ca, node.certificate, node.key, revoked}, node.name,
                                     security::wall_clock::now());
  for (const auto& [key, text] : report.problems)
    security.complain(key, text);
  warnings.insert(warnings.end(), report.warnings.begin(), report.warnings.end());
}

std::string milliseconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", 1e3 * seconds);
  return text;
}

connect_finding finding_of(const probe_result& result) {
  connect_finding finding{"seed " + result.seed.text(), "", result.problem};
  if (!result.problem.empty())
    return finding;
  finding.detail = "answers in " + milliseconds(result.connect_s);
  if (!result.name.empty())
    finding.detail += ", certificate of '" + result.name + "'";
  if (result.clock_offset_s)
    finding.detail += ", clock " + milliseconds(*result.clock_offset_s) + " from ours (+-"
                      + milliseconds(*result.clock_uncertainty_s) + ")";
  return finding;
}

} // namespace

std::optional<transport::tls::credential_files> credential_files_of(const node_config& node) {
  if (!node.tls)
    return std::nullopt;
  const auto revoked = node.revoked.empty() ? security::revoked_beside(node.ca) : node.revoked;
  return transport::tls::credential_files{node.ca.string(), node.certificate.string(),
                                          node.key.string(), revoked.string()};
}

std::string ucx_device(const std::vector<local_interface>& here, const node_config& node,
                       std::string& problem) {
  const auto& host = node.data_listen.host;
  if (is_loopback(host))
    return "lo";
  const auto has_it = [&](const local_interface& one) { return one.address == host; };
  auto holder = std::find_if(here.begin(), here.end(), [&](const local_interface& one) {
    return has_it(one) && is_trusted(one, node.trusted_interfaces);
  });
  const bool trusted = holder != here.end();
  if (!trusted)
    holder = std::find_if(here.begin(), here.end(), has_it);
  if (holder == here.end()) {
    problem = "expected an address of an interface of this machine, as UCX listens on trusted "
              "interfaces only, got '"
              + host + "'; here are " + list_interfaces(here);
    return {};
  }
  if (!trusted) {
    problem = "expected an address of a trusted interface, got '" + host + "' of '" + holder->name
              + "'; name it in security.trusted_interfaces or use data_plane.backend = 'tls'";
    if (const auto absent = absent_names(here, node.trusted_interfaces); !absent.empty())
      problem += " (there is no '" + absent.front() + "' here, but " + list_interfaces(here) + ")";
    return {};
  }
  // UCX takes a device, not an address, and the one it takes of that need not be trusted.
  if (const auto its = ucx_address(here, holder->name); its != host) {
    problem = "expected '" + its + "', as UCX listens on the first address of '" + holder->name
              + "', got '" + host + "'; or use data_plane.backend = 'tls'";
    return {};
  }
  return holder->name;
}

std::vector<std::string> check_node(const toml_document& document, const node_config& node,
                                    problem_list& problems) {
  std::vector<std::string> warnings;
  if (!node.voters.empty())
    warnings.emplace_back("scheduler.voters is reserved and has no effect");
  if (node.tls)
    check_files(document, node, problems, warnings);
  if (node.data_backend == "ucx") {
    const auto here = local_interfaces();
    std::string problem;
    if (ucx_device(here, node, problem).empty())
      table_reader{document, "node", problems}.complain("data_listen", problem);
    for (const auto& name : absent_names(here, node.trusted_interfaces))
      if (problem.empty())
        warnings.push_back("security.trusted_interfaces: there is no '" + name + "' here, but "
                           + list_interfaces(here));
  }
  return warnings;
}

checked_node read_checked_node(const std::string& file, const std::vector<std::string>& overrides) {
  problem_list problems;
  auto document = file.empty() ? toml_document::parse("", "(no file)", problems)
                               : toml_document::load(file, problems);
  if (document)
    for (const auto& word : overrides)
      document->override_key(word, problems);
  auto node = document ? read_node(*document, problems) : std::nullopt;
  std::vector<std::string> warnings;
  if (node)
    warnings = check_node(*document, *node, problems);
  if (!problems.empty())
    throw as_error(problems);
  return {std::move(*node), std::move(warnings)};
}

std::vector<connect_finding> check_connections(const node_config& node,
                                               std::chrono::milliseconds patience,
                                               const admission_question& ask) {
  std::vector<connect_finding> findings;
  std::vector<std::pair<std::string, address>> mine;
  if (node.listens)
    mine.emplace_back("node.listen", node.listen);
  if (node.relay.empty())
    mine.emplace_back("node.data_listen", node.data_listen);
  if (node.relay_listen)
    mine.emplace_back("data_plane.relay_listen", *node.relay_listen);
  for (const auto& [key, at] : mine)
    findings.push_back({key + " " + at.text(), "free", probe_listen(at)});
  const auto files = credential_files_of(node);
  std::vector<address> answering;
  for (const auto& seed : node.seeds) {
    findings.push_back(finding_of(probe(seed, files, patience)));
    if (findings.back().problem.empty())
      answering.push_back(seed);
  }
  if (ask && !node.runs_scheduler && !answering.empty())
    findings.push_back(ask(node, answering));
  return findings;
}

} // namespace skippipe::runtime
