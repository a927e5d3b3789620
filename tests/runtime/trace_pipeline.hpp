// A small deterministic pipeline that leaves the traces the tests read: three stages with two
// replicas each, every node running its tasks strictly in planned order.
#pragma once

#include "actors/trace/file.hpp"
#include "actors/trace/plan_record.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

namespace skippipe::test {

struct temporary_folder {
  std::filesystem::path path;
  temporary_folder() {
    auto name = (std::filesystem::temp_directory_path() / "skippipe-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot create a temporary folder");
    path = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path); }
  temporary_folder(const temporary_folder&) = delete;
};

/// Milliseconds; what the plan assumes and, changed, what happens.
struct pipeline_costs {
  std::vector<double> compute = std::vector<double>(6, 100); ///< F per node; B 1.5x, L 0.25x.
  std::map<std::pair<node_id, node_id>, double> link;        ///< Default 40.
  double link_ms(node_id from, node_id to) const {
    const auto it = link.find({from, to});
    return it != link.end() ? it->second : 40;
  }
};

struct pipeline_run {
  std::vector<std::vector<trace::event>> events;     ///< Per node 0..5; 6 is the scheduler.
  std::vector<std::vector<trace::task_times>> times; ///< As the plan's order.
};

inline const std::vector<std::string> pipeline_names = {"o1", "o2", "a1", "a2", "b1", "b2", "head"};

/// Four microbatches; those of the second pair swap or skip: 2 runs b before a, 3 skips a.
scheduler::plan pipeline_plan();

/// Runs one iteration by the plan's order, from `begin_ns` on the clock. A node not named in
/// `memory` holds two microbatches.
pipeline_run run_pipeline(const scheduler::plan& plan, const pipeline_costs& costs,
                          iteration_no iteration, std::int64_t begin_ns, attempt_no attempt = 1,
                          const std::map<node_id, std::size_t>& memory = {});

/// The plan with the times of the nominal costs, and a trace file per node.
void write_run(const std::filesystem::path& dir, const scheduler::plan& plan,
               const std::vector<std::vector<std::vector<trace::event>>>& iterations,
               std::uint64_t session = 1, std::vector<std::int64_t> clock_offset_ns = {});

} // namespace skippipe::test
