// How clients ask the scheduler's daemon for the trace of a job.
#pragma once

#include "runtime/daemon/wire.hpp"

#include <caf/all.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// Which files hold the trace of a job? Empty: of the one that runs, else of the last one that ran.
struct trace_list_request {
  std::uint32_t version = protocol_version;
  std::string job;
};
struct trace_file {
  std::string name;           ///< In the run folder: "trace/N.trace", "plans/V.json".
  std::uint64_t identity = 0; ///< Of the file, whatever it is called later.
  std::uint64_t size = 0;
};
struct trace_listing {
  std::string job, error;
  std::uint64_t iteration = 0; ///< Committed last.
  std::vector<trace_file> files;
};
/// The bytes of a file from `offset` to `end`; of a trace only the events of iterations first..last.
struct trace_part_request {
  std::string job, name;
  std::uint64_t identity = 0, offset = 0, end = 0;
  std::uint64_t first = 0, last = 0;
};
struct trace_part {
  wire_bytes bytes;       ///< May be empty before the end.
  std::uint64_t next = 0; ///< The offset of the next request; the end: that was all.
  bool replaced = false;  ///< The file is no longer there: list them again.
  std::string error;
};
/// Asks for the next events of a running job; whoever asks first begins to follow. Nothing is sent
/// unasked, so a slow follower loses events and holds up nobody.
struct trace_pull {
  std::uint32_t version = protocol_version;
  std::string job; ///< Empty: the one that runs.
  // Which events; only those of the first request count.
  std::string node;                       ///< Empty: of all nodes.
  std::uint64_t iteration = 0;            ///< 0: of all.
  std::uint32_t microbatch = 0xffffffffU; ///< All ones: of all, and of none.
};
struct trace_events {
  std::string job, error;
  std::string ended; ///< How the job has ended, with the last events; empty: it goes on.
  std::int64_t now_ns = 0;
  std::uint64_t lost = 0;         ///< Events that this follower was too slow for, so far.
  std::vector<std::string> nodes; ///< Names by number, of the session of these events.
  wire_bytes events;              ///< As in trace_batch, by the scheduler's clock; may be empty.
};

template <class F>
typename F::result_type inspect(F& f, trace_list_request& x) {
  return f(caf::meta::type_name("skippipe.trace_list_request"), x.version, x.job);
}
template <class F>
typename F::result_type inspect(F& f, trace_file& x) {
  return f(caf::meta::type_name("skippipe.trace_file"), x.name, x.identity, x.size);
}
template <class F>
typename F::result_type inspect(F& f, trace_listing& x) {
  return f(caf::meta::type_name("skippipe.trace_listing"), x.job, x.error, x.iteration, x.files);
}
template <class F>
typename F::result_type inspect(F& f, trace_part_request& x) {
  return f(caf::meta::type_name("skippipe.trace_part_request"), x.job, x.name, x.identity, x.offset,
           x.end, x.first, x.last);
}
template <class F>
typename F::result_type inspect(F& f, trace_part& x) {
  return f(caf::meta::type_name("skippipe.trace_part"), x.bytes, x.next, x.replaced, x.error);
}
template <class F>
typename F::result_type inspect(F& f, trace_pull& x) {
  return f(caf::meta::type_name("skippipe.trace_pull"), x.version, x.job, x.node, x.iteration,
           x.microbatch);
}
template <class F>
typename F::result_type inspect(F& f, trace_events& x) {
  return f(caf::meta::type_name("skippipe.trace_events"), x.job, x.error, x.ended, x.now_ns, x.lost,
           x.nodes, x.events);
}

} // namespace skippipe::runtime::daemon
