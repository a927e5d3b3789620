// The actor that moves a node's events from its ring to its trace file.
#pragma once

#include "actors/environment.hpp"
#include "actors/trace/file.hpp"

#include <caf/all.hpp>

#include <future>
#include <memory>

namespace skippipe::actors {

struct tracer_options {
  std::shared_ptr<environment> env;
  trace::file_options file;
  trace::segment_info segment;
  caf::timespan every = std::chrono::milliseconds{250};
};

/// A file that the tracer writes on the background executor.
class trace_sink;

using tracer_actor = caf::typed_actor<
    // Drains the ring and asks for the next tick.
    caf::reacts_to<caf::tick_atom>,
    // Writes everything, closes the file, keeps the promise and ends.
    caf::reacts_to<std::shared_ptr<std::promise<void>>>>;

struct tracer_state {
  static inline constexpr const char* name = "tracer";
  std::shared_ptr<trace_sink> sink;
  std::shared_ptr<environment> env;
};

tracer_actor::behavior_type tracer(tracer_actor::stateful_pointer<tracer_state> self,
                                   tracer_options options);

} // namespace skippipe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<std::promise<void>>)
