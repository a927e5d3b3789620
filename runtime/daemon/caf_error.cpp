#include "runtime/daemon/caf_error.hpp"

#include "runtime/gate/unreachable.hpp"

namespace skippipe::runtime::daemon {

namespace {

/// What the gate says about a failed connection is the last word of the error's context.
std::string said_by_gate(const caf::error& why) {
  const auto& context = why.context();
  if (context.size() == 3 && context.match_element<std::string>(2))
    return context.get_as<std::string>(2);
  return {};
}

} // namespace

std::string plain_text(const caf::error& why) {
  if (why.category() != caf::atom("system"))
    return "an unexpected answer (" + std::to_string(why.code()) + ")";
  switch (static_cast<caf::sec>(why.code())) {
    case caf::sec::cannot_connect_to_node: {
      const auto said = said_by_gate(why);
      return said.empty() ? nobody_listens : said;
    }
    case caf::sec::request_timeout:
      return "no answer in time";
    case caf::sec::request_receiver_down:
    case caf::sec::no_route_to_receiving_node:
    case caf::sec::remote_lookup_failed:
    case caf::sec::disconnect_during_handshake:
    case caf::sec::end_of_stream:
    case caf::sec::socket_disconnected:
      return "the connection ended";
    case caf::sec::connection_timeout:
      return nobody_answers;
    case caf::sec::no_actor_published_at_port:
      return "it is not a node of a cluster";
    case caf::sec::unexpected_actor_messaging_interface:
    case caf::sec::unexpected_message:
    case caf::sec::unexpected_response:
    case caf::sec::incompatible_versions:
    case caf::sec::incompatible_application_ids:
    case caf::sec::malformed_basp_message:
    case caf::sec::unknown_type:
      return "it runs another release of skippipe; install the same on both";
    default:
      return "the connection failed (error " + std::to_string(why.code()) + " of CAF)";
  }
}

} // namespace skippipe::runtime::daemon
