// The actor that moves a node's events from its ring to its trace file, or on to whoever keeps it.
#pragma once

#include "actors/environment.hpp"
#include "actors/trace/file.hpp"

#include <caf/all.hpp>

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <vector>

namespace skippipe::actors {

struct tracer_options {
  std::shared_ptr<environment> env;
  trace::file_options file;
  trace::segment_info segment;
  /// Takes the events instead of a file, on the background executor; `overwritten` is the ring's total.
  std::function<void(const std::vector<trace::event>&, std::uint64_t overwritten)> forward;
  caf::timespan every = std::chrono::milliseconds{250};
};

/// Where the events go, on the background executor.
class trace_sink;

using tracer_actor = caf::typed_actor<
    // Drains the ring and asks for the next tick.
    caf::reacts_to<caf::tick_atom>,
    // Passes everything on, closes the file, keeps the promise and ends.
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
