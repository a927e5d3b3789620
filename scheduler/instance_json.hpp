// Planning problems as JSON, format "skippipe-instance/1".
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/json_reader.hpp"

#include <string>
#include <string_view>

namespace skippipe::scheduler {

/// Reads and checks an instance; `file` names it in problems. Links come as `link_s`, or as
/// `latency_s`, `bandwidth_Bps` and `payload_bytes`.
read_result<instance> parse_instance(std::string_view text, const std::string& file);
read_result<instance> load_instance(const std::string& file);

std::string write_instance(const instance& problem);

} // namespace skippipe::scheduler
