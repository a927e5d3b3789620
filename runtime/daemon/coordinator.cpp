#include "runtime/daemon/coordinator.hpp"

#include "actors/clock.hpp"
#include "runtime/config/toml_document.hpp"
#include "runtime/train/events.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::runtime::daemon {

using actors::work_kind;
using nlohmann::json;

namespace {

constexpr std::size_t history_events = 200;

std::int64_t now_ns() { return actors::real_clock{}.now_ns(); }

bool is_free(const member& who) { return who.state == member_state::ready && !who.stage; }
bool is_there(const member& who) {
  return who.state != member_state::left && who.state != member_state::failed;
}

const char* to_string(member_state state) {
  static constexpr const char* names[] = {"joining",  "ready", "working",
                                          "draining", "left",  "failed"};
  return names[static_cast<int>(state)];
}

/// A promise belongs to its actor's turn.
template <class Promise, class T>
void answer_in_turn(const local_coordinator_actor& me, Promise promise, T value) {
  caf::anon_send(me, errand{[promise, value = std::move(value)]() mutable {
                   promise.deliver(std::move(value));
                 }});
}

} // namespace

void coordinator_state::start(local_coordinator_actor::pointer me, coordinator_options given) {
  self = me;
  options = std::move(given);
  files = options.background->make_strand();
  book_ = std::make_unique<job_book>(options.journal / "jobs");
  std::vector<std::string> problems;
  jobs_ = book_->load(problems);
  for (const auto& problem : problems)
    options.log(problem);
  for (auto& job : jobs_)
    if (job.state == job_state::running) {
      // The scheduler has died over it: it goes on by itself, if possible on the same nodes.
      options.log("job '" + job.id + "' goes on when its nodes are here");
      job.state = job_state::queued;
      patience_until_ns_ =
          now_ns() + static_cast<std::int64_t>(1e9 * (10 + 3 * options.detect_within_s));
    }
  start_next();
}

// -- members ---------------------------------------------------------------------

std::string coordinator_state::refuse(const join_request& wanted, bool& permanent) const {
  permanent = true;
  if (wanted.version != protocol_version)
    return "it speaks version " + std::to_string(wanted.version) + " of the protocol, this cluster "
           + std::to_string(protocol_version) + "; install the same release on both";
  if (wanted.cluster != options.cluster)
    return "it asks for the cluster '" + wanted.cluster + "', this is '" + options.cluster
           + "'; correct node.cluster or node.seeds";
  const auto known = members_.find(wanted.name);
  if (known != members_.end() && is_there(known->second)) {
    permanent = false; // Its earlier life may not have been missed yet.
    return "a node called '" + wanted.name + "' is a member already, at "
           + known->second.info.control + " with process " + std::to_string(known->second.info.pid)
           + "; give this one another node.name";
  }
  const auto seen = lives_.find(wanted.name);
  if (seen != lives_.end() && wanted.incarnation <= seen->second)
    return "its incarnation " + std::to_string(wanted.incarnation)
           + " has been seen before; restart it";
  return options.admit ? options.admit(wanted.name, wanted.token) : std::string{};
}

join_answer coordinator_state::join(join_request& wanted) {
  join_answer reply;
  reply.term = options.term;
  reply.control = options.control();
  reply.refusal = refuse(wanted, reply.permanent);
  if (!reply.refusal.empty()) {
    options.log("refused '" + wanted.name + "': " + reply.refusal);
    return reply;
  }
  // Whoever holds a node's key is that node, and no other.
  const auto holder = options.certificate_name(wanted.worker.node());
  if (!holder.empty() && holder != wanted.name) {
    reply.refusal = "it calls itself '" + wanted.name + "', its certificate says '" + holder + "'";
    options.log("refused: " + reply.refusal);
    return reply;
  }
  lives_[wanted.name] = wanted.incarnation;
  self->monitor(wanted.worker);
  const auto name = wanted.name;
  auto& who = members_[name] = member{};
  who.info = std::move(wanted);
  options.log("node '" + name + "' joined from " + who.info.control);
  offer_nodes(false);
  return reply;
}

void coordinator_state::lose(member& who, member_state state, const std::string& reason) {
  const auto name = who.info.name;
  who.state = state;
  who.reason = reason;
  who.stage.reset();
  self->demonitor(who.info.worker.address());
  who.info.worker = nullptr;
  if (running)
    running->lost(name, reason);
}

void coordinator_state::down(const caf::down_msg& why) {
  for (auto& [name, who] : members_) {
    if (!is_there(who) || !who.info.worker || who.info.worker.address() != why.source)
      continue;
    const auto reason = who.state == member_state::draining ? "drained"
                        : why.reason == caf::exit_reason::remote_link_unreachable
                            ? "its connection ended"
                            : "it ended: " + caf::to_string(why.reason);
    options.log("node '" + name + "' is gone: " + reason);
    return lose(who,
                who.state == member_state::draining ? member_state::left : member_state::failed,
                reason);
  }
  for (auto& [job, past] : histories_)
    std::erase_if(past.followers,
                  [&](const follower_actor& one) { return one.address() == why.source; });
}

void coordinator_state::dismiss(member& who, const std::string& reason) {
  options.log("node '" + who.info.name + "' leaves: " + reason);
  caf::anon_send(who.info.worker, dismissal{reason});
  lose(who, member_state::left, reason);
}

answer coordinator_state::leave(const leave_request& wanted) {
  const auto found = members_.find(wanted.name);
  if (found == members_.end() || found->second.info.incarnation != wanted.incarnation)
    return {"", "no such member"};
  return drain(wanted.name);
}

answer coordinator_state::drain(const std::string& node) {
  const auto found = members_.find(node);
  if (found == members_.end() || !is_there(found->second))
    return {"", "no node '" + node + "' in this cluster; `skippipe nodes` lists them"};
  auto& who = found->second;
  if (!running || !running->uses(node)) {
    dismiss(who, "drained");
    return {"left", ""};
  }
  if (!running->drain(node))
    return {"", "node '" + node + "' is the only one of stage "
                    + std::to_string(who.stage.value_or(0)) + " of job '" + running->record().id
                    + "' that stays (or the job is just starting); add a node or stop the job"};
  who.state = member_state::draining;
  return {"draining", ""};
}

// -- jobs ------------------------------------------------------------------------

job_record* coordinator_state::find_job(const std::string& id) {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const job_record& job) { return job.id == id; });
  return found == jobs_.end() ? nullptr : &*found;
}

void coordinator_state::emit(const std::string& job, const json& event) {
  auto& past = histories_[job];
  const auto what = event.value("event", "");
  if (what == "started")
    past.started = event;
  past.recent.push_back(event);
  if (past.recent.size() > history_events)
    past.recent.erase(past.recent.begin(), past.recent.begin() + history_events / 4);
  const auto text = event.dump();
  for (const auto& one : past.followers)
    self->send(one, text);
  if (what == "note")
    options.log("job '" + job + "': " + event.value("text", ""));
}

answer coordinator_state::submit(submit_request& request) {
  if (request.version != protocol_version)
    return {"", "this client speaks version " + std::to_string(request.version)
                    + " of the protocol, the cluster " + std::to_string(protocol_version)};
  problem_list problems;
  auto document = toml_document::parse(request.job, request.file, problems);
  if (document)
    for (const auto& word : request.overrides)
      document->override_key(word, problems);
  const auto job = document ? read_job(*document, problems) : std::nullopt;
  if (!job)
    return {"", problems.text()};
  job_record record;
  for (int n = 1; record.id.empty() || find_job(record.id) != nullptr; ++n)
    record.id = job->name + "-" + std::to_string(n);
  record.file = request.file;
  record.text = std::move(request.job);
  record.overrides = std::move(request.overrides);
  record.run_dir = request.run_dir;
  record.resume = request.resume;
  record.last = request.last;
  record.data = std::move(request.data);
  book_->keep(record);
  jobs_.push_back(record);
  if (request.follower) {
    submitters_[record.id] = request.follower;
    self->monitor(request.follower);
    histories_[record.id].followers.push_back(request.follower);
    self->send(request.follower, events::submitted(record.id).dump());
  }
  options.log("job '" + record.id + "' submitted");
  if (running)
    emit(record.id, events::note("waiting: job '" + running->record().id + "' runs"));
  start_next();
  return {record.id, ""};
}

answer coordinator_state::follow(const follow_request& request) {
  const auto* job = find_job(request.job);
  if (job == nullptr)
    return {"", "no job '" + request.job + "' here; `skippipe jobs` lists them"};
  auto& past = histories_[job->id];
  self->send(request.follower, events::submitted(job->id).dump());
  if (!past.started.is_null())
    self->send(request.follower, past.started.dump());
  bool ended = false;
  for (const auto& event : past.recent)
    if (event.value("event", "") != "started") {
      self->send(request.follower, event.dump());
      ended |= events::is_last(event);
    }
  // Of an earlier life of the scheduler only the outcome is known.
  if (!ended && job->state == job_state::failed)
    self->send(request.follower, events::failed(job->outcome).dump());
  else if (!ended && (job->state == job_state::done || job->state == job_state::stopped))
    self->send(request.follower,
               events::done(job->iteration, job->outcome, job->state == job_state::stopped).dump());
  else if (!ended) {
    self->monitor(request.follower);
    past.followers.push_back(request.follower);
  }
  return {job->id, ""};
}

job_host coordinator_state::make_host() {
  job_host host;
  host.system = &self->system();
  host.background = options.background;
  host.shelf = &shelf;
  host.dir = options.dir;
  host.term = options.term;
  host.in_turn = [me = local_coordinator_actor{self}](std::function<void()> work) {
    caf::anon_send(me, errand{std::move(work)});
  };
  host.later = [this](double seconds, std::function<void()> work) {
    self->delayed_send(self, std::chrono::milliseconds{static_cast<std::int64_t>(1e3 * seconds)},
                       errand{std::move(work)});
  };
  host.emit = [this](const json& event) { emit(running->record().id, event); };
  host.changed = [this](const job_record& record) {
    *find_job(record.id) = record;
    book_->keep(record);
  };
  host.wants_nodes = [this] { offer_nodes(true); };
  host.is_member = [this](const job_node& node) {
    const auto found = members_.find(node.name);
    return found != members_.end() && is_there(found->second)
           && found->second.info.life == node.life;
  };
  host.placed = [this](const std::string& node, std::optional<stage_id> stage, const std::string&) {
    auto& who = members_[node];
    who.stage = stage;
    if (who.state == member_state::ready || who.state == member_state::working)
      who.state = stage ? member_state::working : member_state::ready;
  };
  host.drained = [this](const std::string& node) {
    if (auto& who = members_[node]; who.state == member_state::draining)
      dismiss(who, "drained");
  };
  host.ended = [this] {
    const auto job = std::exchange(running, nullptr);
    if (closing_)
      return options.on_closed();
    options.log("job '" + job->record().id + "' " + daemon::to_string(job->record().state)
                + (job->record().outcome.empty() ? "" : ": " + job->record().outcome));
    submitters_.erase(job->record().id);
    for (auto& [name, who] : members_)
      if (who.state == member_state::draining)
        dismiss(who, "drained");
    start_next();
  };
  return host;
}

void coordinator_state::start_next() {
  if (running || closing_)
    return;
  const auto next = std::find_if(jobs_.begin(), jobs_.end(), [](const job_record& job) {
    return job.state == job_state::queued;
  });
  if (next == jobs_.end())
    return;
  running = std::make_shared<cluster_job>(make_host(), *next);
  const auto submitter = submitters_.find(next->id);
  running->prepare(submitter == submitters_.end()
                       ? file_source{}
                       : caf::actor_cast<file_source>(submitter->second));
}

/// Gives the waiting job all free nodes, if they suffice. `patient`: says what it waits for.
void coordinator_state::offer_nodes(bool say) {
  if (!running || !running->waiting())
    return;
  std::vector<job_node> free;
  for (const auto& [name, who] : members_)
    if (is_free(who))
      free.push_back({name, who.info.location, who.info.life, who.info.data_address,
                      who.info.memory_microbatches, who.info.worker});
  const auto least = running->least_nodes();
  if (free.size() < least) {
    if (say)
      emit(running->record().id,
           events::note("waiting for nodes: " + std::to_string(free.size()) + " of at least "
                        + std::to_string(least) + " are here"));
    return;
  }
  // After a power loss all come back, one after the other.
  const auto& before = running->record().nodes;
  const bool all_back = std::all_of(before.begin(), before.end(), [&](const std::string& name) {
    return std::any_of(free.begin(), free.end(),
                       [&](const job_node& node) { return node.name == name; });
  });
  if (const auto left = patience_until_ns_ - now_ns(); left > 0 && !all_back) {
    self->delayed_send(self, std::chrono::nanoseconds{left + 1'000'000},
                       errand{[this] { offer_nodes(true); }});
    return;
  }
  running->start(std::move(free));
}

answer coordinator_state::stop_job(const std::string& id) {
  auto* job = find_job(id);
  if (job == nullptr)
    return {"", "no job '" + id + "' here; `skippipe jobs` lists them"};
  if (running && running->record().id == id) {
    running->stop();
    return {"stopping", ""};
  }
  if (job->state != job_state::queued)
    return {"", "job '" + id + "' has ended already (" + daemon::to_string(job->state) + ")"};
  job->state = job_state::stopped;
  book_->keep(*job);
  emit(id, events::done(0, "", true));
  return {"stopped", ""};
}

// -- what clients ask ---------------------------------------------------------------

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
                   {"scheduler", true}});
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
    jobs.push_back({{"id", job.id},
                    {"state", daemon::to_string(now.state)},
                    {"iteration", now.iteration},
                    {"run_dir", now.run_dir},
                    {"outcome", now.outcome}});
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
  if (running) {
    result["job"] = running->status();
    result["job"]["id"] = running->record().id;
    result["job"]["run_dir"] = running->record().run_dir;
  }
  return {result.dump(), ""};
}

answer coordinator_state::run_command(const command& wanted) {
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
    return drain(wanted.name);
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
  options.on_closed();
}

local_coordinator_actor::behavior_type
coordinator(local_coordinator_actor::stateful_pointer<coordinator_state> self,
            coordinator_options options) {
  self->set_down_handler([self](caf::down_msg& why) { self->state.down(why); });
  self->state.start(self, std::move(options));
  return {
      [self](join_request& wanted) { return self->state.join(wanted); },
      [](const seed_request&) { return answer{}; },
      [](const clock_request&) { return clock_answer{now_ns()}; },
      [self](const leave_request& wanted) { return self->state.leave(wanted); },
      [self](const session_opened& report) {
        if (self->state.running)
          self->state.running->opened(report);
      },
      [self](const session_closed& report) {
        if (self->state.running)
          self->state.running->closed(report);
      },
      [self](const session_message& message) {
        if (self->state.running)
          self->state.running->deliver(message, self->current_sender());
      },
      [self](const snapshot_part& part) -> caf::result<answer> {
        auto promise = self->make_response_promise<answer>();
        if (!self->state.running) {
          promise.deliver(answer{"", "no job runs"});
          return promise;
        }
        self->state.running->receive(
            part, [promise, me = local_coordinator_actor{self}](std::string problem) {
              answer_in_turn(me, promise, answer{"", std::move(problem)});
            });
        return promise;
      },
      [self](const trace_batch& batch) {
        if (self->state.running)
          self->state.running->keep(batch);
      },
      [self](const file_part_request& wanted) -> caf::result<file_part> {
        auto promise = self->make_response_promise<file_part>();
        self->state.files->submit(work_kind::other, [shelf = &self->state.shelf, wanted, promise,
                                                     me = local_coordinator_actor{self}] {
          answer_in_turn(me, promise, shelf->read(wanted));
        });
        return promise;
      },
      [self](submit_request& request) { return self->state.submit(request); },
      [self](const follow_request& request) { return self->state.follow(request); },
      [self](const command& wanted) { return self->state.run_command(wanted); },
      [self](const errand& task) { task.run(); },
      [self](caf::close_atom) { self->state.close(); },
  };
}

} // namespace skippipe::runtime::daemon
