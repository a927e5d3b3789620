// Of the coordinator: the traces of its jobs, for those who look at them from elsewhere.
#include "runtime/daemon/coordinator.hpp"

#include "actors/clock.hpp"
#include "runtime/daemon/trace_store.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::runtime::daemon {

namespace {

/// An answer without events keeps both sides sure of each other.
constexpr std::chrono::milliseconds longest_silence{400};

std::string wrong_version(std::uint32_t version) {
  return "this client speaks version " + std::to_string(version) + " of the protocol, the cluster "
         + std::to_string(protocol_version) + "; install the same release on both";
}

bool is_over(const job_record& job) {
  return job.state != job_state::queued && job.state != job_state::running;
}

} // namespace

/// As far as is known now, also while it runs.
const job_record* coordinator_state::current(const std::string& id) {
  if (running && running->record().id == id)
    return &running->record();
  return find_job(id);
}

const job_record* coordinator_state::job_with_trace(const std::string& id, std::string& problem) {
  const job_record* job = nullptr;
  if (!id.empty()) {
    job = current(id);
    if (job == nullptr)
      problem = "no job '" + id + "' here; `skippipe jobs` lists them";
  } else if (running && !running->record().run_dir.empty()) {
    job = &running->record();
  } else {
    for (const auto& one : jobs_)
      if (!one.run_dir.empty() && (is_over(one) || one.iteration > 0))
        job = &one;
    if (job == nullptr)
      problem = "no job has run here yet; `skippipe jobs` lists those that wait";
  }
  if (job != nullptr && job->run_dir.empty()) {
    problem = "job '" + job->id + "' has not begun yet";
    return nullptr;
  }
  return job;
}

void coordinator_state::list_trace(const trace_list_request& wanted,
                                   std::function<void(trace_listing)> tell) {
  trace_listing listing;
  if (wanted.version != protocol_version)
    listing.error = wrong_version(wanted.version);
  const auto* job = listing.error.empty() ? job_with_trace(wanted.job, listing.error) : nullptr;
  if (job == nullptr)
    return tell(std::move(listing));
  listing.job = job->id;
  listing.iteration = job->iteration;
  files->submit(actors::work_kind::other,
                [listing, run_dir = job->run_dir, tell = std::move(tell)]() mutable {
                  listing.files = list_trace_files(run_dir);
                  if (std::none_of(listing.files.begin(), listing.files.end(),
                                   [](const auto& file) { return file.name[0] == 't'; }))
                    listing.error = "job '" + listing.job + "' has left no trace yet";
                  tell(std::move(listing));
                });
}

void coordinator_state::read_trace(const trace_part_request& wanted,
                                   std::function<void(trace_part)> tell) {
  std::string problem;
  const auto* job = job_with_trace(wanted.job, problem);
  if (job == nullptr)
    return tell({{}, 0, false, problem});
  files->submit(actors::work_kind::other, [wanted, run_dir = job->run_dir, tell = std::move(tell)] {
    tell(read_trace_part(run_dir, wanted));
  });
}

std::string coordinator_state::begin_following(const caf::strong_actor_ptr& who,
                                               const trace_pull& wanted) {
  if (wanted.version != protocol_version)
    return wrong_version(wanted.version);
  if (wanted.job.empty() && !running)
    return "no job runs; `skippipe jobs` lists those that were, `skippipe trace show --job J` "
           "shows "
           "their traces";
  const auto* job = current(wanted.job.empty() ? running->record().id : wanted.job);
  if (job == nullptr)
    return "no job '" + wanted.job + "' here; `skippipe jobs` lists them";
  if (is_over(*job))
    return "job '" + job->id + "' has ended (" + daemon::to_string(job->state)
           + "); `skippipe trace show --job " + job->id + "` shows its trace";
  self->monitor(caf::actor_cast<caf::actor_addr>(who));
  watchers_[who->address()] = {feed->open(job->id, wanted), job->id, {}, 0};
  return {};
}

caf::result<trace_events> coordinator_state::pull_trace(const trace_pull& wanted) {
  const auto who = self->current_sender();
  auto promise = self->make_response_promise<trace_events>();
  trace_events refusal;
  if (!who)
    refusal.error = "nobody to answer to";
  else if (!watchers_.contains(who->address()))
    refusal.error = begin_following(who, wanted);
  if (!refusal.error.empty()) {
    promise.deliver(std::move(refusal));
    return promise;
  }
  const auto address = who->address();
  auto& watcher = watchers_[address];
  if (watcher.promise) { // It has given up on the earlier request.
    trace_events nothing;
    nothing.job = watcher.job;
    watcher.promise->deliver(std::move(nothing));
  }
  watcher.promise = promise;
  const auto number = ++watcher.requests;
  if (!answer_watcher(address, false))
    self->delayed_send(self, longest_silence, errand{[this, address, number] {
                         const auto found = watchers_.find(address);
                         if (found != watchers_.end() && found->second.requests == number)
                           answer_watcher(address, true);
                       }});
  return promise;
}

/// True: nothing waits for an answer any more. Without events only where `anyhow`, or at the job's end.
bool coordinator_state::answer_watcher(const caf::actor_addr& address, bool anyhow) {
  auto& watcher = watchers_[address];
  if (!watcher.promise)
    return true;
  const auto* job = current(watcher.job);
  const bool over = job == nullptr || is_over(*job);
  auto reply = feed->take(watcher.follower);
  if (reply.events.empty() && !over && !anyhow)
    return false;
  reply.now_ns = actors::real_clock{}.now_ns();
  if (reply.events.empty() && over)
    reply.ended = job == nullptr ? "unknown" : daemon::to_string(job->state);
  const bool done = !reply.ended.empty();
  std::exchange(watcher.promise, std::nullopt)->deliver(std::move(reply));
  if (done)
    forget_watcher(address);
  return true;
}

void coordinator_state::answer_watchers() {
  std::vector<caf::actor_addr> waiting;
  for (const auto& [address, watcher] : watchers_)
    if (watcher.promise)
      waiting.push_back(address);
  for (const auto& address : waiting)
    answer_watcher(address, false);
}

void coordinator_state::forget_watcher(const caf::actor_addr& address) {
  const auto found = watchers_.find(address);
  if (found == watchers_.end())
    return;
  feed->close(found->second.follower);
  self->demonitor(address);
  watchers_.erase(found);
}

} // namespace skippipe::runtime::daemon
