#include "runtime/daemon/offer_metrics.hpp"

#include "runtime/daemon/node_metrics.hpp"

#include <utility>

namespace skippipe::runtime::daemon {

std::unique_ptr<metrics_server> offer_metrics(const node_config& node, caf::actor_system& system,
                                              local_coordinator_actor coordinator,
                                              const upload_limits& upload,
                                              const std::atomic<bool>& ready) {
  if (!node.metrics)
    return nullptr;
  return std::make_unique<metrics_server>(*node.metrics, [&, coordinator] {
    node_figures figures{node.name,
                         node.cluster,
                         ready.load(),
                         static_cast<std::uint64_t>(upload.all()->taken()),
                         {}};
    if (coordinator) {
      caf::scoped_actor self{system};
      self->request(coordinator, std::chrono::seconds{1}, command{protocol_version, "status"})
          .receive(
              [&](const answer& reply) {
                figures.status = nlohmann::json::parse(reply.text, nullptr, false);
              },
              [](const caf::error&) {});
    }
    return metrics_text(figures);
  });
}

} // namespace skippipe::runtime::daemon
