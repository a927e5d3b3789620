#include "runtime/daemon/admission.hpp"

#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/control_plane.hpp"
#include "runtime/daemon/introduction.hpp"
#include "runtime/daemon/relaying.hpp"

namespace skippipe::runtime::daemon {

namespace {

coordinator_actor find_scheduler(control_plane& plane, const std::vector<address>& seeds,
                                 std::string& problem) {
  for (const auto& seed : seeds) {
    bool refused = false;
    if (auto found = plane.connect(seed, problem, refused); found || refused)
      return found;
  }
  return {};
}

/// Why it would not be taken in; "" with the scheduler's HOST:PORT in `control` where it would.
std::string ask(control_plane& plane, const coordinator_actor& scheduler, const node_config& node,
                std::string& control) {
  auto question = introduction_of(node);
  question.only_asks = true;
  std::string problem;
  caf::scoped_actor self{plane.system()};
  self->request(scheduler, std::chrono::seconds{10}, question)
      .receive(
          [&](const join_answer& reply) {
            control = reply.control;
            if (!reply.refusal.empty())
              problem = "it would refuse this node: " + reply.refusal;
          },
          [&](const caf::error& why) {
            problem = "its scheduler does not answer: " + plain_text(why);
          });
  if (problem.empty() && !node.relay.empty())
    problem = ask_for_relay(plane, scheduler, node.relay).error;
  return problem;
}

} // namespace

connect_finding ask_admission(const node_config& node, const std::vector<address>& seeds) {
  connect_finding finding{"cluster '" + node.cluster + "'", "", ""};
  control_options options;
  options.listens = false;
  options.detect_within_s = node.detect_within_s;
  if (const auto files = credential_files_of(node)) {
    options.tls = true;
    options.files = *files;
  }
  control_plane plane{options};
  const auto scheduler = find_scheduler(plane, seeds, finding.problem);
  if (!scheduler)
    return finding;
  std::string control;
  finding.problem = ask(plane, scheduler, node, control);
  if (finding.problem.empty())
    finding.detail = "its scheduler at " + control + " would take this node in";
  return finding;
}

} // namespace skippipe::runtime::daemon
