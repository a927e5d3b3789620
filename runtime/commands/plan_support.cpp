#include "runtime/commands/plan_support.hpp"

#include "runtime/command_error.hpp"
#include "runtime/output.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

namespace skippipe::runtime {

int report_infeasible(const scheduler::infeasible& why, bool json) {
  if (json)
    print_json({{"infeasible", why.reason}, {"nearest", why.nearest}});
  std::cerr << "skippipe: infeasible: " << why.reason << "; nearest feasible: " << why.nearest
            << '\n';
  return exit_infeasible;
}

scheduler::lower_bounds bounds_of(const scheduler::instance& problem, scheduler::strategy kind) {
  if (kind != scheduler::strategy::full)
    return scheduler::lower_bound(problem);
  scheduler::instance sequential = problem;
  sequential.path_length = problem.stages;
  if (!problem.routes.empty())
    sequential.microbatches = static_cast<std::uint32_t>(problem.routes.size());
  sequential.routes.clear();
  return scheduler::lower_bound(sequential);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines)
    out += (out.empty() ? "" : "\n") + line;
  return out;
}

void expect_writable(const std::string& file) {
  const std::filesystem::path path = file, folder = path.parent_path();
  std::error_code ignored;
  const std::filesystem::path asked = std::filesystem::exists(path, ignored) ? path
                                      : folder.empty()                       ? "."
                                                                             : folder;
  if (::access(asked.c_str(), W_OK) != 0)
    throw command_error(file + ": cannot write the file");
}

void write_text(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text << std::flush;
  if (!out)
    throw command_error(file + ": cannot write the file");
}

} // namespace skippipe::runtime
