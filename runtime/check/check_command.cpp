#include "runtime/check/check_command.hpp"

#include "runtime/command_error.hpp"
#include "runtime/output.hpp"

#include <iostream>

namespace skippipe::runtime {

namespace {

/// Long enough for a seed on the other side of the world, short enough for a person who waits.
constexpr std::chrono::seconds patience{5};

void print_finding(const connect_finding& one, bool json) {
  if (json)
    print_json({{"event", "connect"},
                {"what", one.what},
                {"ok", one.problem.empty()},
                {one.problem.empty() ? "detail" : "problem",
                 one.problem.empty() ? one.detail : one.problem}});
  else
    std::cout << "  " << one.what << ": " << (one.problem.empty() ? one.detail : one.problem)
              << '\n'
              << std::flush;
}

} // namespace

int check_node_file(const std::string& file, const std::vector<std::string>& overrides,
                    bool connect, bool json, const engine_checks& engine) {
  const auto [node, warnings] = read_checked_node(file, overrides);
  if (engine.device)
    engine.device(node);
  for (const auto& line : warnings)
    std::cerr << "skippipe: warning: " << line << '\n';
  if (json)
    print_json({{"event", "check"}, {"file", file}, {"name", node.name}, {"warnings", warnings}});
  else
    std::cout << file << ": OK (node '" << node.name << "')\n" << std::flush;
  if (!connect)
    return 0;
  const auto findings = check_connections(node, patience, engine.admission);
  std::size_t bad = 0;
  for (const auto& one : findings) {
    print_finding(one, json);
    bad += !one.problem.empty();
  }
  if (bad > 0)
    throw command_error(file + ": " + std::to_string(bad) + " of " + std::to_string(findings.size())
                        + " connections failed, see above; the node would not work");
  return 0;
}

} // namespace skippipe::runtime
