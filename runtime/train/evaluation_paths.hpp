// Paths for validation: all stages in order, or some left out.
#pragma once

#include "actors/job_scheduler.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// `batches` paths in order over `arrangement`, spread over its nodes, each leaving out
/// `left_out` stages (0: the full model), a different choice from batch to batch.
actors::evaluation_plan evaluation_paths(const std::vector<std::vector<node_id>>& arrangement,
                                         std::uint32_t batches, std::uint32_t left_out,
                                         std::string what);

} // namespace skippipe::runtime
