// Of the coordinator: the queue of jobs, the one that runs, and those who follow.
#include "runtime/daemon/coordinator.hpp"

#include "runtime/train/events.hpp"
#include "runtime/train/run_folder.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::runtime::daemon {

using nlohmann::json;

namespace {

constexpr std::size_t history_events = 200;
/// Without a node that joins, before a job starts,
constexpr std::int64_t settle_ns = 1'000'000'000;
/// but no longer than that after it could have started: one that joins over and over holds up nobody.
constexpr std::int64_t longest_settling_ns = 10 * settle_ns;

} // namespace

std::int64_t coordinator_state::now_ns() const {
  return std::chrono::nanoseconds{self->clock().now().time_since_epoch()}.count();
}

job_record* coordinator_state::find_job(const std::string& id) {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const job_record& job) { return job.id == id; });
  return found == jobs_.end() ? nullptr : &*found;
}

void coordinator_state::emit(const std::string& job, const json& event) {
  auto& past = histories_[job];
  past.recent.push_back(event);
  if (past.recent.size() > history_events) {
    const auto kept = past.recent.begin() + history_events / 4;
    for (auto it = past.recent.begin(); it != kept; ++it)
      if (it->value("event", "") == "started")
        past.started = std::move(*it);
    past.recent.erase(past.recent.begin(), kept);
  }
  const auto text = event.dump();
  for (const auto& one : past.followers)
    self->send(one, text);
  if (event.value("event", "") == "note")
    options.log("job '" + job + "': " + event.value("text", ""));
}

answer coordinator_state::submit(submit_request& request) {
  if (request.version != protocol_version)
    return {"", "this client speaks version " + std::to_string(request.version)
                    + " of the protocol, the cluster " + std::to_string(protocol_version)};
  problem_list problems;
  const auto job = parse_job(request.job, request.file, request.overrides, problems);
  if (!job)
    return {"", problems.text()};
  try {
    if (request.resume.empty())
      refuse_used_folder(request.run_dir);
  } catch (const std::exception& used) {
    return {"", used.what()};
  }
  for (const auto& other : jobs_)
    if ((other.state == job_state::queued || other.state == job_state::running)
        && same_folder(request.run_dir, other.run_dir))
      return {"", request.run_dir + ": job '" + other.id
                      + "' has this run folder; stop it, or choose another folder with --run-dir"};
  job_record record;
  for (int n = 1; record.id.empty() || find_job(record.id) != nullptr; ++n)
    record.id = job->name + "-" + std::to_string(n);
  record.number = jobs_.empty() ? 1 : jobs_.back().number + 1;
  record.file = request.file;
  record.text = std::move(request.job);
  record.overrides = std::move(request.overrides);
  record.run_dir = request.run_dir;
  record.resume = request.resume;
  record.last = request.last;
  record.data = std::move(request.data);
  inherit_copies(record);
  book_->keep(record);
  jobs_.push_back(record);
  if (request.follower) {
    self->monitor(request.follower);
    histories_[record.id].followers.push_back(request.follower);
    self->send(request.follower, events::submitted(record.id).dump());
  }
  options.log("job '" + record.id + "' submitted");
  if (running)
    emit(record.id, events::note("waiting: job '" + running->record().id + "' runs"));
  fetch_data(record, request.follower);
  return {record.id, ""};
}

/// At once, also for a job whose turn comes later: whoever submitted it may go then.
void coordinator_state::fetch_data(const job_record& job, const follower_actor& submitter) {
  const auto root = options.dir / "data";
  if (!submitter || std::filesystem::exists(root / job.data.id))
    return data_fetched(job.id, "");
  fetching_.insert(job.id);
  uploads->submit(actors::work_kind::other,
                  [this, me = local_coordinator_actor{self}, root, id = job.id, data = job.data,
                   fetch = options.asker->from(caf::actor_cast<file_source>(submitter))] {
                    std::string problem;
                    try {
                      fetch_files(data, root, fetch);
                    } catch (const std::exception& why) {
                      problem = why.what();
                    }
                    caf::anon_send(me, errand{[this, id, problem] { data_fetched(id, problem); }});
                  });
}

void coordinator_state::data_fetched(const std::string& id, const std::string& problem) {
  fetching_.erase(id);
  auto& job = *find_job(id);
  if (job.state == job_state::queued && !problem.empty()) {
    job.state = job_state::failed;
    job.outcome = problem;
    book_->keep(job);
    options.log("job '" + id + "' failed: " + problem);
    emit(id, events::failed(problem));
    answer_watchers();
  } else if (job.state == job_state::queued) {
    emit(id, events::data_received());
  }
  start_next();
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
  for (const auto& event : past.recent) {
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
  host.asker = options.asker;
  host.background = options.background;
  host.shelf = &shelf;
  host.feed = feed;
  host.links = options.links;
  host.profile = options.profile;
  host.book = book;
  host.wire_dtype = options.wire_dtype;
  host.sealed = options.sealed;
  host.patience_s = 1.5 * options.detect_within_s;
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
  host.wants_nodes = [this] {
    // A node that was only out of reach is back in a moment.
    const auto patience = static_cast<std::int64_t>(2e9 * options.detect_within_s);
    patience_until_ns_ = std::max(patience_until_ns_, now_ns() + patience);
    offer_nodes(true);
  };
  host.is_member = [this](const job_node& node) {
    const auto found = members_.find(node.name);
    return found != members_.end() && found->second.is_there()
           && found->second.info.life == node.life;
  };
  host.placed = [this](const std::string& node, std::optional<stage_id> stage, const std::string&) {
    const auto found = members_.find(node);
    if (found == members_.end())
      return; // Removed.
    auto& who = found->second;
    who.stage = stage;
    if (!stage && who.state == member_state::draining)
      return dismiss(who, "drained"); // The session ended before its turn came.
    if (who.state == member_state::ready || who.state == member_state::working)
      who.state = stage ? member_state::working : member_state::ready;
  };
  host.published = [this](copy_wish wish) { copies->published(std::move(wish)); };
  host.worker_of = [this](const std::string& node) {
    const auto found = members_.find(node);
    return found != members_.end() && found->second.is_there() ? found->second.info.worker
                                                               : worker_actor{};
  };
  host.ended = [this] {
    const auto job = std::exchange(running, nullptr);
    if (closing_)
      return try_closed();
    options.log("job '" + job->record().id + "' " + daemon::to_string(job->record().state)
                + (job->record().outcome.empty() ? "" : ": " + job->record().outcome));
    answer_watchers();
    start_next();
  };
  return host;
}

void coordinator_state::start_next() {
  if (running || closing_)
    return;
  const auto next = std::find_if(jobs_.begin(), jobs_.end(), [this](const job_record& job) {
    return job.state == job_state::queued && !fetching_.contains(job.id);
  });
  if (next == jobs_.end())
    return;
  could_start_ns_.reset();
  running = std::make_shared<cluster_job>(make_host(), *next);
  running->prepare();
}

/// Gives the waiting job all free nodes, if they suffice. `say`: what it waits for.
void coordinator_state::offer_nodes(bool say) {
  if (!running || !running->waiting())
    return;
  std::vector<job_node> free;
  for (const auto& [name, who] : members_)
    if (who.is_free())
      free.push_back({name, who.info.location, who.info.life, who.info.data_address,
                      who.info.memory_microbatches, who.info.emulation, who.info.worker});
  const auto least = running->least_nodes();
  if (free.size() < least) {
    could_start_ns_.reset();
    if (say)
      emit(running->record().id,
           events::note("waiting for nodes: " + std::to_string(free.size()) + " of at least "
                        + std::to_string(least) + " are here"));
    return;
  }
  const auto now = now_ns();
  if (!could_start_ns_)
    could_start_ns_ = now;
  // Others may be on their way, as when a whole cluster starts.
  const auto settled = std::min(joined_ns_ + settle_ns, *could_start_ns_ + longest_settling_ns);
  if (const auto left = settled - now; left > 0) {
    self->delayed_send(self, std::chrono::nanoseconds{left + 1'000'000},
                       errand{[this, say] { offer_nodes(say); }});
    return;
  }
  // After a power loss all come back, one after the other.
  const auto& before = running->record().nodes;
  const bool all_back = std::all_of(before.begin(), before.end(), [&](const std::string& name) {
    return std::any_of(free.begin(), free.end(),
                       [&](const job_node& node) { return node.name == name; });
  });
  if (const auto left = patience_until_ns_ - now; left > 0 && !all_back) {
    self->delayed_send(self, std::chrono::nanoseconds{left + 1'000'000},
                       errand{[this] { offer_nodes(true); }});
    return;
  }
  could_start_ns_.reset();
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
  answer_watchers();
  return {"stopped", ""};
}

} // namespace skippipe::runtime::daemon
