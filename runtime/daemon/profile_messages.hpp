// What the scheduler and its nodes say to each other to measure links before a job starts.
#pragma once

#include "runtime/daemon/wire.hpp"
#include "scheduler/ids.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>

namespace skippipe::runtime::daemon {

/// Node to scheduler: it can be probed, or why not.
struct probe_opened {
  std::uint64_t session = 0;
  node_id node = 0;
  std::string error;
};
/// Scheduler to node: measure the way to this peer.
struct probe_pair {
  std::uint64_t session = 0;
  node_id peer = 0;
  std::uint64_t most_bytes = 0, most_ms = 0;
};
/// Node to scheduler.
struct probe_result {
  std::uint64_t session = 0;
  node_id node = 0, peer = 0;
  std::uint64_t latency_ns = 0, bandwidth_Bps = 0; ///< 0: not known.
  std::uint64_t bytes = 0;                         ///< That it took.
  std::string error;
};
/// Scheduler to node: that was all.
struct probe_close {
  std::uint64_t session = 0;
};

template <class F>
typename F::result_type inspect(F& f, probe_opened& x) {
  return f(caf::meta::type_name("skippipe.probe_opened"), x.session, x.node, x.error);
}
template <class F>
typename F::result_type inspect(F& f, probe_pair& x) {
  return f(caf::meta::type_name("skippipe.probe_pair"), x.session, x.peer, x.most_bytes, x.most_ms);
}
template <class F>
typename F::result_type inspect(F& f, probe_result& x) {
  return f(caf::meta::type_name("skippipe.probe_result"), x.session, x.node, x.peer, x.latency_ns,
           x.bandwidth_Bps, x.bytes, x.error);
}
template <class F>
typename F::result_type inspect(F& f, probe_close& x) {
  return f(caf::meta::type_name("skippipe.probe_close"), x.session);
}

} // namespace skippipe::runtime::daemon
