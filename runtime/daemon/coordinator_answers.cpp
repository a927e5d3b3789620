// Of the coordinator: what it tells those who ask.
#include "runtime/daemon/coordinator.hpp"

#include "actors/clock.hpp"

#include <unistd.h>

#include <algorithm>

namespace skippipe::runtime::daemon {

using nlohmann::json;

namespace {

const char* to_string(member_state state) {
  static constexpr const char* names[] = {"joining",  "ready", "working",
                                          "draining", "left",  "failed"};
  return names[static_cast<int>(state)];
}

} // namespace

/// Our clock, and a note of what a member knows of it.
clock_answer coordinator_state::tell_clock(const clock_request& wanted,
                                           const caf::strong_actor_ptr& sender) {
  const auto now = actors::real_clock{}.now_ns();
  const auto known = members_.find(wanted.name);
  // R8: a node speaks for itself only.
  if (known != members_.end() && known->second.is_there() && sender
      && sender->node() == known->second.info.worker.node())
    book->note_clock(known->second.info.life, wanted.offset_ns, wanted.uncertainty_ns);
  return {now};
}

json coordinator_state::profile_of(const member& who) const {
  std::map<std::uint64_t, std::string> others;
  for (const auto& [name, other] : members_)
    if (other.is_there())
      others[other.info.life] = name;
  return book->of(who.info.life, others);
}

answer coordinator_state::nodes_json() const {
  json nodes = json::array();
  nodes.push_back({{"name", options.name},
                   {"state", "ready"},
                   {"stage", nullptr},
                   {"incarnation", options.term},
                   {"control", options.control()},
                   {"data", ""},
                   {"memory", 0},
                   {"reason", ""},
                   {"scheduler", true},
                   {"pid", ::getpid()}});
  for (const auto& [name, who] : members_) {
    json node{{"name", name},
              {"state", to_string(who.state)},
              {"stage", nullptr},
              {"incarnation", who.info.incarnation},
              {"control", who.info.control},
              {"data", who.info.data},
              {"memory", who.info.memory_microbatches},
              {"reason", who.reason},
              {"scheduler", false},
              {"pid", who.info.pid},
              {"device", who.info.device},
              {"cpu", who.info.cpu},
              {"location", who.info.location}};
    if (who.is_there())
      node["profile"] = profile_of(who);
    if (who.stage)
      node["stage"] = *who.stage;
    if (name == options.name) {
      node["scheduler"] = true;
      nodes[0] = node;
    } else {
      nodes.push_back(std::move(node));
    }
  }
  return {json{{"nodes", nodes}}.dump(), ""};
}

answer coordinator_state::jobs_json() const {
  json jobs = json::array();
  for (const auto& job : jobs_) {
    const auto& now = running && running->record().id == job.id ? running->record() : job;
    json held = json::array();
    for (const auto& copy : now.copies)
      held.push_back({{"node", copy.node}, {"iteration", copy.iteration}});
    jobs.push_back({{"id", job.id},
                    {"state", daemon::to_string(now.state)},
                    {"iteration", now.iteration},
                    {"run_dir", now.run_dir},
                    {"outcome", now.outcome},
                    {"copies", held}});
  }
  return {json{{"jobs", jobs}}.dump(), ""};
}

answer coordinator_state::status_json() const {
  std::map<std::string, int> counts;
  for (const auto& [name, who] : members_)
    ++counts[to_string(who.state)];
  json result{{"cluster", options.cluster},
              {"term", options.term},
              {"nodes", counts},
              {"queued",
               std::count_if(jobs_.begin(), jobs_.end(),
                             [](const job_record& job) { return job.state == job_state::queued; })},
              {"job", nullptr}};
  auto& profile = result["profile"] = json::array();
  for (const auto& [name, who] : members_)
    if (who.is_there()) {
      profile.push_back(profile_of(who));
      profile.back()["name"] = name;
    }
  if (running) {
    result["job"] = running->status();
    result["job"]["id"] = running->record().id;
    result["job"]["run_dir"] = running->record().run_dir;
  }
  return {result.dump(), ""};
}

/// Nodes admit nobody: who wants a token shows keys that are no node's.
answer coordinator_state::make_token(const caf::strong_actor_ptr& wanted_by, double seconds) const {
  const auto holder = wanted_by ? options.certificate_name(wanted_by->node()) : std::string{};
  if (lives_.contains(holder))
    return {"", "these are the keys of node '" + holder
                    + "'; tokens are made with an operator's keys (`skippipe certs issue operator`)"
                      " or on the scheduler's machine"};
  try {
    options.log("token made" + (holder.empty() ? "" : " by '" + holder + "'"));
    return {options.make_token(seconds), ""};
  } catch (const std::exception& problem) {
    return {"", problem.what()};
  }
}

answer coordinator_state::relay_of(const std::string& node) const {
  const auto found = members_.find(node);
  if (node != options.name && (found == members_.end() || !found->second.is_there()))
    return {"", "its relay '" + node + "' is not in this cluster"};
  const auto& where = node == options.name ? options.relay : found->second.info.relay;
  if (where.empty())
    return {"", "its relay '" + node + "' relays nothing; set data_plane.relay_listen there"};
  return {where, ""};
}

answer coordinator_state::revoke(const std::string& pem) {
  try {
    if (!options.revoke(pem))
      return {"known", ""};
    spread_revocations();
    return {"taken", ""};
  } catch (const std::exception& problem) {
    options.log(std::string{"revocation list refused: "} + problem.what());
    return {"", problem.what()};
  }
}

void coordinator_state::spread_revocations() {
  const auto pem = options.revoked();
  for (const auto& [name, who] : members_)
    if (who.is_there())
      self->send(who.info.worker, revocation_list{pem});
}

answer coordinator_state::run_command(const command& wanted, const caf::strong_actor_ptr& sender) {
  if (wanted.version != protocol_version)
    return {"", "this client speaks version " + std::to_string(wanted.version)
                    + " of the protocol, the cluster " + std::to_string(protocol_version)};
  if (wanted.what == "nodes")
    return nodes_json();
  if (wanted.what == "jobs")
    return jobs_json();
  if (wanted.what == "status")
    return status_json();
  if (wanted.what == "drain")
    return drain(wanted.name, wanted.seconds);
  if (wanted.what == "remove" || wanted.what == "remove by force")
    return remove(wanted.name, wanted.what != "remove");
  if (wanted.what == "token")
    return make_token(sender, wanted.seconds);
  if (wanted.what == "revoke")
    return revoke(wanted.name);
  if (wanted.what == "relay")
    return relay_of(wanted.name);
  if (wanted.what == "stop")
    return stop_job(wanted.name);
  return {"", "unknown command '" + wanted.what + "'"};
}

void coordinator_state::close() {
  closing_ = true;
  if (running && running->suspend())
    return; // It ends with a checkpoint; then so do we.
  if (running)
    running->abandon();
  running = nullptr;
  try_closed();
}

} // namespace skippipe::runtime::daemon
