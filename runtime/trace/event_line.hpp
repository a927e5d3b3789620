// One event in words, or as JSON: for those who watch a trace as it comes.
#pragma once

#include "actors/trace/event.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace skippipe::runtime {

/// A node's name in the session that the event is of.
using node_namer = std::function<std::string(node_id)>;

/// "  12.345678  node-3  iteration 4, microbatch 2: F of stage 1 started", seconds after `begin_ns`,
/// without a newline.
std::string event_text(const trace::event& e, const node_namer& name, std::int64_t begin_ns);
/// "time_ns" is the scheduler's clock; what an event lacks is left out.
nlohmann::ordered_json event_json(const trace::event& e, const node_namer& name);

} // namespace skippipe::runtime
