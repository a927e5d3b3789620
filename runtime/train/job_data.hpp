// Where a job's tokens come from.
#pragma once

#include "model/dataset.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/train/reporter.hpp"

#include <filesystem>
#include <memory>

namespace skippipe::runtime {

/// The job's prepared data; makes the built-in text's at first use.
std::filesystem::path ensure_data(const job_config& job, reporter& report);

/// Opens prepared data and checks that it fits the job. Throws with one line.
std::shared_ptr<const model::dataset> open_data(const std::filesystem::path& dir,
                                                const job_config& job);

} // namespace skippipe::runtime
