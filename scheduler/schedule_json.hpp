// Plans as JSON, format "skippipe-schedule/1".
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/json_reader.hpp"
#include "scheduler/plan.hpp"

#include <string>
#include <string_view>

namespace skippipe::scheduler {

/// Reads a schedule of `problem`; what it means is for check_plan to judge. Where it has no
/// arrangement the instance's holds, and where it claims no makespan that stays 0.
read_result<plan> parse_schedule(std::string_view text, const std::string& file,
                                 const instance& problem);
read_result<plan> load_schedule(const std::string& file, const instance& problem);

/// A schedule whose instance is not at hand: nodes and stages are those of its arrangement, which must fit
/// its paths. Fills `names` where the schedule names its nodes.
read_result<plan> parse_running(std::string_view text, const std::string& file,
                                std::vector<std::string>& names);
read_result<plan> load_running(const std::string& file, std::vector<std::string>& names);

std::string write_schedule(const instance& problem, const plan& p);

} // namespace skippipe::scheduler
