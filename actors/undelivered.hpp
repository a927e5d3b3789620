// What the scheduler is told of a message that did not reach a peer.
#pragma once

#include "actors/protocol/messages.hpp"

#include <optional>
#include <string>

namespace skippipe::actors {

/// Nothing where nobody waits for the message.
inline std::optional<unreachable> report_of(node_id from, node_id to, const wire_message& message,
                                            std::string reason) {
  unreachable report;
  report.node = from;
  report.peer = to;
  report.reason = std::move(reason);
  if (auto* work = std::get_if<microbatch>(&message)) {
    report.iteration = work->iteration;
    report.attempt = work->attempt;
    report.mode = work->mode;
  } else if (auto* grant = std::get_if<credit>(&message)) {
    report.iteration = grant->iteration;
    report.attempt = grant->attempt;
  } else if (auto* chunk = std::get_if<gradient_chunk>(&message)) {
    report.iteration = chunk->iteration;
    report.attempt = chunk->attempt;
  } else {
    return std::nullopt;
  }
  return report;
}

} // namespace skippipe::actors
