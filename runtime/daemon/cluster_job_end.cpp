// Of a job on a cluster: the end of a session, and what comes after it.
#include "runtime/daemon/cluster_job_parts.hpp"

#include "runtime/daemon/data_plane.hpp"
#include "runtime/daemon/trace_keeper.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/run_folder.hpp"

#include <algorithm>
#include <exception>
#include <future>
#include <utility>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;
namespace fs = std::filesystem;

/// Ends the session, waits for the last of the nodes' traces, then goes on with `then`.
void cluster_job::close_session(std::function<void()> then) {
  if (session_ != 0)
    keep_instance();
  phase_ = phase::closing;
  if (survey_)
    surveyed(); // No more of it.
  after_close_ = std::move(then);
  closing_.clear();
  if (session_ != 0)
    for (node_id i = 0; i < nodes_.size(); ++i)
      if (!gone_.contains(i)) {
        closing_.insert(i);
        caf::anon_send(nodes_[i].worker, session_close{session_});
      }
  if (scheduler_)
    caf::anon_send_exit(scheduler_, caf::exit_reason::user_shutdown);
  scheduler_ = nullptr;
  net_ = nullptr;
  launch_.reset();
  // Who does not answer keeps nobody waiting for long.
  host_.later(10, [self = shared_from_this(), session = session_] {
    if (self->session_ == session) {
      self->closing_.clear();
      self->try_closed();
    }
  });
  try_closed();
}

void cluster_job::closed(const session_closed& report) {
  if (report.session != session_ || closing_.erase(report.node) == 0)
    return;
  tasks_ += report.tasks;
  overruns_ += report.overruns;
  try_closed();
}

void cluster_job::try_closed() {
  if (phase_ != phase::closing || !closing_.empty() || !after_close_)
    return;
  in_background([self = shared_from_this(), session = session_,
                 tracing = std::exchange(tracer_, {}), traces = std::exchange(traces_, nullptr),
                 then = std::exchange(after_close_, nullptr)]() mutable -> std::function<void()> {
    if (tracing) {
      auto passed = std::make_shared<std::promise<void>>();
      caf::anon_send(tracing, passed);
      passed->get_future().wait();
    }
    traces.reset(); // Closes the files.
    return [self, session, then = std::move(then)] {
      for (node_id i = 0; session != 0 && i < self->nodes_.size(); ++i)
        if (!self->gone_.contains(i))
          self->host_.placed(self->nodes_[i].name, std::nullopt, "");
      self->session_ = 0;
      then();
    };
  });
}

void cluster_job::restart(const std::string& reason) {
  if (phase_ == phase::closing)
    return;
  close_session([self = shared_from_this(), reason] {
    self->phase_ = phase::waiting;
    self->host_.emit(events::note(reason + "; going on from the newest checkpoint"));
    if (self->stopping_)
      return self->end(job_state::stopped, "");
    self->host_.wants_nodes();
  });
}

void cluster_job::finish(iteration_no iterations) {
  const auto newest = checkpoints_->newest();
  if (suspending_) {
    host_.emit(events::note("the scheduler ends; the job goes on when it is back"));
    return close_session([self = shared_from_this()] {
      self->phase_ = phase::ended;
      self->folder_lock_.reset();
      self->host_.changed(self->record_);
      self->host_.ended();
    });
  }
  phase_ = phase::finishing;
  record_.iteration = iterations;
  in_background([self = shared_from_this(), newest, job = job_, data = data_,
                 wanted = job_.sample_tokens > 0 && !stopping_ && !newest.empty()] {
    const auto text = wanted ? sample_text(job, *data, newest) : std::string{};
    return [self, newest, text, wanted] {
      if (wanted)
        self->host_.emit(events::sample(sample_prompt, text));
      self->end(self->stopping_ ? job_state::stopped : job_state::done, newest.string());
    };
  });
}

void cluster_job::end(job_state state, const std::string& outcome) {
  if (phase_ == phase::closing || phase_ == phase::ended)
    return;
  close_session([self = shared_from_this(), state, outcome] {
    self->phase_ = phase::ended;
    self->folder_lock_.reset();
    self->report_overruns();
    self->host_.emit(state == job_state::failed ? events::failed(outcome)
                                                : events::done(self->record_.iteration, outcome,
                                                               state == job_state::stopped));
    self->record_.outcome = outcome;
    self->change(state);
    self->host_.ended();
  });
}

/// Emulated times that the machine could not keep make a run worthless.
void cluster_job::report_overruns() {
  if (tasks_ == 0)
    return;
  const double share = static_cast<double>(overruns_) / static_cast<double>(tasks_);
  char text[200];
  std::snprintf(text, sizeof text,
                "emulation: %.2f %% of %llu tasks took longer than their emulated time%s",
                100 * share, static_cast<unsigned long long>(tasks_),
                share > 0.01 ? ": this run is INVALID; raise emulation.compute_s or lower "
                               "emulation.time_scale"
                             : "");
  host_.emit(events::note(text));
}

void cluster_job::abandon() {
  phase_ = phase::ended;
  if (scheduler_)
    caf::anon_send_exit(scheduler_, caf::exit_reason::user_shutdown);
  if (tracer_)
    caf::anon_send(tracer_, std::make_shared<std::promise<void>>());
  for (node_id i = 0; session_ != 0 && i < nodes_.size(); ++i)
    if (!gone_.contains(i))
      caf::anon_send(nodes_[i].worker, session_close{session_});
  scheduler_ = nullptr;
  tracer_ = nullptr;
  net_ = nullptr;
  launch_.reset();
}

} // namespace skippipe::runtime::daemon
