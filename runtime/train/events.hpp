// What happens in a training run, as JSON objects: what `train --json` prints and what a cluster tells
// those who follow a job.
#pragma once

#include "actors/job_scheduler.hpp"
#include "runtime/train/reporter.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace skippipe::runtime::events {

nlohmann::json submitted(const std::string& job);
/// The cluster has the job's data: whoever submitted it is needed no longer.
nlohmann::json data_received();
nlohmann::json started(const run_summary& run);
nlohmann::json iteration(const actors::iteration_report& report);
nlohmann::json evaluation(const actors::evaluation_report& report);
nlohmann::json checkpoint(iteration_no iteration, const std::string& problem);
nlohmann::json sample(const std::string& prompt, const std::string& text);
nlohmann::json note(const std::string& line);
nlohmann::json done(iteration_no iterations, const std::string& checkpoint, bool stopped);
nlohmann::json failed(const std::string& reason);

/// Whether nothing comes after this event.
bool is_last(const nlohmann::json& event);

/// Tells `report` what the event says; unknown ones are passed over.
void tell(const nlohmann::json& event, reporter& report);

} // namespace skippipe::runtime::events
