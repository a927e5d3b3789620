// The chain of work and waiting that decided when an iteration ended.
#pragma once

#include "runtime/trace/iteration_view.hpp"

#include <vector>

namespace skippipe::runtime {

struct critical_step {
  enum class type : std::uint8_t { compute, link, memory, wait, reduction, commit, step };
  type what = type::compute;
  node_id node = trace::no_node; ///< Of a link its receiver.
  node_id from = trace::no_node; ///< Of a link its sender.
  stage_id stage = trace::no_stage;
  microbatch_id microbatch = trace::no_microbatch; ///< Of compute, link and memory.
  scheduler::task_kind task = scheduler::task_kind::forward;
  std::uint64_t bytes = 0; ///< Of a link.
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

/// In the order of time, from the iteration's start to its end as far as the trace reaches.
std::vector<critical_step> critical_path(const iteration_view& view);

std::string_view to_string(critical_step::type what);

} // namespace skippipe::runtime
