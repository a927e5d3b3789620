// Of a worker: its part in measuring links before a job starts.
#include "runtime/daemon/worker.hpp"

#include <cmath>
#include <exception>
#include <utility>

namespace skippipe::runtime::daemon {

using actors::work_kind;

void worker_state::open_probe(const probe_open& order) {
  close_probe();
  if (!coordinator)
    return;
  probing = order.session;
  probe_node = order.node;
  options.desk->submit(work_kind::other, [box = probes, data = options.host.data, order,
                                          to = coordinator, me = worker_actor{self}] {
    probe_opened report{order.session, order.node, {}};
    try {
      *box = std::make_unique<link_probe>(data->open_session(order.session), order.most_bytes);
      for (const auto& peer : order.peers)
        (*box)->connect(peer.node, data_plane::peer_address(peer));
    } catch (const std::exception& problem) {
      report.error = problem.what();
    }
    caf::send_as(me, to, report);
  });
}

void worker_state::probe(const probe_pair& order) {
  if (!coordinator || order.session != probing)
    return;
  // It blocks, for about as long as the order says: sessions open and close on the desk before or after.
  options.desk->submit(work_kind::other, [box = probes, order, to = coordinator,
                                          self_no = probe_node, me = worker_actor{self}] {
    probe_result report{order.session, self_no, order.peer, 0, 0, 0, {}};
    if (*box) {
      const auto found = (*box)->measure(
          order.peer, {order.most_bytes, 1e-3 * static_cast<double>(order.most_ms)});
      report.latency_ns = static_cast<std::uint64_t>(std::llround(1e9 * found.figures.latency_s));
      report.bandwidth_Bps = static_cast<std::uint64_t>(std::llround(found.figures.bandwidth_Bps));
      report.bytes = found.bytes;
      report.error = found.error;
    } else {
      report.error = "closed";
    }
    caf::send_as(me, to, report);
  });
}

void worker_state::close_probe() {
  if (std::exchange(probing, 0) != 0)
    options.desk->submit(work_kind::other, [box = probes] { box->reset(); });
}

} // namespace skippipe::runtime::daemon
