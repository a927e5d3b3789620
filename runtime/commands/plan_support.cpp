#include "runtime/commands/plan_support.hpp"

#include "runtime/cli.hpp"

#include <fstream>

namespace skippipe::runtime {

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines)
    out += (out.empty() ? "" : "\n") + line;
  return out;
}

void write_text(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text << std::flush;
  if (!out)
    throw command_error(file + ": cannot write the file");
}

} // namespace skippipe::runtime
