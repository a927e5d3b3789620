// Reads the plans that a run wrote beside its trace.
#pragma once

#include "actors/trace/plan_record.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

namespace skippipe::runtime {

/// The record, or one line that says what is wrong with it.
using plan_record_result = std::variant<trace::plan_record, std::string>;

plan_record_result parse_plan_record(std::string_view json);
/// RUN/plans/VERSION.json; the line names the file.
plan_record_result load_plan_record(const std::filesystem::path& run_dir, plan_version version);

} // namespace skippipe::runtime
