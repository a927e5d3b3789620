// Identifiers shared by every folder; plain integers so that they cross any boundary unchanged.
#pragma once

#include <cstdint>

namespace skippipe {

using node_id = std::uint32_t;        ///< Index of a node within a job's topology.
using stage_id = std::uint32_t;       ///< 0 is the origins' stage; 1..S-1 are the others.
using microbatch_id = std::uint32_t;  ///< Unique within one iteration, 0..M-1.
using attempt_no = std::uint32_t;     ///< Only the scheduler creates a new one (R1).
using iteration_no = std::uint64_t;   ///< Counts optimizer steps from 1.
using plan_version = std::uint64_t;   ///< Grows with every new plan.
using term_no = std::uint64_t;        ///< A scheduler's reign.
using incarnation_no = std::uint64_t; ///< A life of a node.

} // namespace skippipe
