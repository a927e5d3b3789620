#include "runtime/daemon/relaying.hpp"

#include "runtime/daemon/advertised.hpp"
#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/data_endpoint.hpp"

#include <stdexcept>

namespace skippipe::runtime::daemon {

own_relay offer_relay(const node_config& node, std::function<void(const std::string&)> log) {
  if (!node.relay_listen)
    return {};
  auto options = tls_options_of(node, log);
  options.listen = node.relay_listen->text();
  if (node.ports.low != 0)
    options.port_range = std::to_string(node.ports.low) + "-" + std::to_string(node.ports.high);
  auto relay = transport::make_tls_relay(std::move(options));
  if (relay->listen())
    throw std::runtime_error("data_plane.relay_listen = '" + node.relay_listen->text()
                             + "': cannot listen there; choose another address");
  const auto bound = parse_address(relay->address());
  const auto where = numeric_address(advertised_host(node, bound->host), bound->port);
  log("relays for others at " + where);
  return {std::move(relay), where};
}

answer ask_for_relay(control_plane& plane, const coordinator_actor& scheduler,
                     const std::string& relay) {
  command wanted;
  wanted.what = "relay";
  wanted.name = relay;
  answer found;
  caf::scoped_actor self{plane.system()};
  self->request(scheduler, std::chrono::seconds{5}, wanted)
      .receive([&](const answer& given) { found = given; },
               [&](const caf::error& why) { found.error = plain_text(why); });
  return found;
}

} // namespace skippipe::runtime::daemon
