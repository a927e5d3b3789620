// Of the coordinator: nodes that leave, by their own wish or an operator's.
#include "runtime/daemon/coordinator.hpp"

#include <utility>

namespace skippipe::runtime::daemon {

namespace {

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", seconds);
  return text;
}

} // namespace

void coordinator_state::dismiss(member& who, const std::string& reason) {
  options.log("node '" + who.info.name + "' leaves: " + reason);
  caf::anon_send(who.info.worker, dismissal{reason});
  lose(who, member_state::left, reason);
}

answer coordinator_state::leave(const leave_request& wanted) {
  const auto found = members_.find(wanted.name);
  if (found == members_.end() || found->second.info.incarnation != wanted.incarnation)
    return {"", "no such member"};
  return drain(wanted.name, 0);
}

answer coordinator_state::drain(const std::string& node, double deadline_s) {
  const auto found = members_.find(node);
  if (node == options.name)
    return {"", "node '" + node + "' runs the scheduler; stop its daemon to end the cluster"};
  if (found == members_.end() || !found->second.is_there())
    return {"", "no node '" + node + "' in this cluster; `skippipe nodes` lists them"};
  auto& who = found->second;
  if (!running || !running->uses(node)) {
    dismiss(who, "drained");
    return {"left", ""};
  }
  if (!running->drain(node))
    return {"", "node '" + node + "' is the only one of stage "
                    + std::to_string(who.stage.value_or(0)) + " of job '" + running->record().id
                    + "' that stays; add a node or stop the job"};
  who.state = member_state::draining;
  if (deadline_s > 0)
    self->delayed_send(self, std::chrono::milliseconds{static_cast<std::int64_t>(1e3 * deadline_s)},
                       errand{[this, node, deadline_s, incarnation = who.info.incarnation] {
                         const auto late = members_.find(node);
                         if (late != members_.end() && late->second.state == member_state::draining
                             && late->second.info.incarnation == incarnation)
                           dismiss(late->second, "not drained within " + seconds_text(deadline_s)
                                                     + ", taken as lost");
                       }});
  return {"draining", ""};
}

answer coordinator_state::remove(const std::string& node, bool force) {
  const auto found = members_.find(node);
  if (node == options.name)
    return {"", "node '" + node + "' runs the scheduler; stop its daemon to end the cluster"};
  if (found == members_.end())
    return {"", "no node '" + node + "' in this cluster; `skippipe nodes` lists them"};
  auto& who = found->second;
  if (!force && who.is_there() && running && running->uses(node))
    return {"", "node '" + node + "' serves stage " + std::to_string(who.stage.value_or(0))
                    + " of job '" + running->record().id + "'; `skippipe drain " + node
                    + "` lets it finish, --force takes it as lost"};
  if (options.forget)
    options.forget(node);
  if (who.is_there()) {
    dismiss(who, force ? "removed by force" : "removed");
    return {"left", ""};
  }
  members_.erase(found);
  return {"removed", ""};
}

} // namespace skippipe::runtime::daemon
