// A folder with a small planning problem, and the words that plan it.
#pragma once

#include "scheduler/instance_json.hpp"

#include "program.hpp"
#include "scratch_folder.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace skippipe::runtime::testing {

namespace fs = std::filesystem;

/// Two origins and two nodes in each of three other stages, one of which a microbatch leaves out.
inline scheduler::instance small_problem() {
  scheduler::instance x;
  x.name = "small";
  x.stages = 4;
  x.path_length = 3;
  x.microbatches_per_origin = 3;
  x.stage_sizes = {2, 2, 2, 2};
  for (node_id n = 0; n < 8; ++n)
    x.nodes.push_back({"n" + std::to_string(n), "here", 1 + 0.1 * n, 3});
  for (node_id a = 0; a < 8; ++a)
    for (node_id b = 0; b < 8; ++b)
      x.link_s.push_back(a == b ? 0 : 0.3 + 0.05 * ((a * 3 + b) % 7));
  return x;
}

inline void put(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

inline std::string content(const fs::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

inline std::string quoted(const fs::path& file) { return "'" + file.string() + "'"; }

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos)
    throw std::logic_error("not there: " + from);
  return text.replace(at, from.size(), to);
}

/// A folder with the small problem, and words that name it.
struct workplace {
  explicit workplace(const scheduler::instance& x = small_problem()) {
    put(instance, scheduler::write_instance(x));
  }
  scratch_folder folder;
  fs::path instance = folder / "instance.json", schedule = folder / "schedule.json";
  std::string plan_words = "plan --instance " + quoted(instance) + " --time-limit 0.3 ";
  std::string simulate_words =
      "simulate --instance " + quoted(instance) + " --schedule " + quoted(schedule) + " ";
};

} // namespace skippipe::runtime::testing
