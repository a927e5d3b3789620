#include "runtime/daemon/cluster_job_parts.hpp"

#include "runtime/daemon/data_plane.hpp"
#include "runtime/daemon/link_survey.hpp"
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

cluster_job::cluster_job(job_host host, job_record record)
    : host_(std::move(host)), record_(std::move(record)), desk_(host_.background->make_strand()) {}

cluster_job::~cluster_job() = default;

/// Runs `work` on the desk and what it returns in the coordinator's turn. An exception ends the job.
void cluster_job::in_background(std::function<std::function<void()>()> work) {
  desk_->submit(work_kind::other, [self = shared_from_this(), work = std::move(work)]() mutable {
    std::function<void()> then;
    try {
      then = work();
    } catch (const std::exception& problem) {
      then = [self, why = std::string{problem.what()}] { self->end(job_state::failed, why); };
    }
    self->host_.in_turn([self, then = std::move(then)] {
      if (self->phase_ != phase::ended)
        then();
    });
  });
}

void cluster_job::change(job_state state) {
  record_.state = state;
  host_.changed(record_);
}

void cluster_job::prepare() {
  change(job_state::running);
  in_background([self = shared_from_this(), record = record_,
                 host = host_]() -> std::function<void()> {
    problem_list problems;
    auto job = parse_job(record.text, record.file, record.overrides, problems);
    if (!job)
      throw std::runtime_error(problems.text());
    const auto folder = host.dir / "data" / record.data.id;
    if (!fs::exists(folder))
      throw std::runtime_error("its data is not here and whoever submitted it has gone; submit it "
                               "again");
    host.shelf->put(record.data, folder);
    auto data = open_data(folder, *job);
    return [self, job = std::move(*job), data = std::move(data)] { self->prepared(job, data); };
  });
}

void cluster_job::prepared(job_config job, std::shared_ptr<const model::dataset> data) {
  job_ = std::move(job);
  data_ = std::move(data);
  phase_ = phase::waiting;
  if (stopping_)
    return end(job_state::stopped, "");
  host_.wants_nodes();
}

std::optional<node_id> cluster_job::number_of(const std::string& node) const {
  if (session_ == 0)
    return std::nullopt;
  for (node_id i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].name == node && !gone_.contains(i))
      return i;
  return std::nullopt;
}

void cluster_job::deliver(const session_message& message, const caf::strong_actor_ptr& sender) {
  if (message.session != session_ || phase_ != phase::running || message.node >= nodes_.size()
      || gone_.contains(message.node))
    return;
  // R8: a node speaks for itself only.
  if (!sender || sender->address() != nodes_[message.node].worker.address())
    return;
  auto found = decode(std::as_bytes(std::span{message.bytes}));
  if (found && found->from == message.node)
    caf::anon_send(scheduler_, inbound{message.node, std::move(found->message), {}});
}

void cluster_job::receive(const snapshot_part& part, std::function<void(std::string)> taken) {
  if (part.session != session_ || phase_ != phase::running)
    return taken("the session is over");
  desk_->submit(work_kind::other, [checkpoints = checkpoints_, part, taken = std::move(taken)] {
    std::string problem;
    try {
      checkpoints->receive(part.iteration, part.name, part.offset, part.total,
                           std::as_bytes(std::span{part.bytes}));
    } catch (const std::exception& why) {
      problem = why.what();
    }
    taken(problem);
  });
}

void cluster_job::keep(const trace_batch& batch) {
  if (traces_ && batch.session == session_)
    desk_->submit(work_kind::other, [traces = traces_, batch] { traces->keep(batch); });
}

void cluster_job::lost(const std::string& node, const std::string& reason) {
  for (node_id i = 0; survey_ && i < candidates_.size(); ++i)
    if (candidates_[i].name == node)
      survey_->lost(i);
  const auto number = number_of(node);
  if (!number)
    return;
  forget(*number, reason);
  if (phase_ == phase::closing) {
    closing_.erase(*number);
    try_closed();
  } else if (phase_ == phase::running) {
    caf::anon_send(scheduler_, member_lost{*number, reason});
  } else if (phase_ != phase::finishing) {
    restart("node '" + node + "' is lost: " + reason);
  }
}

/// The others need not try to reach it any more.
void cluster_job::forget(node_id node, const std::string& reason) {
  gone_.insert(node);
  host_.placed(nodes_[node].name, std::nullopt, reason);
  if (net_)
    net_->forget(node);
  for (node_id other = 0; other < nodes_.size(); ++other)
    if (!gone_.contains(other))
      caf::anon_send(nodes_[other].worker, session_peer_gone{session_, node});
}

bool cluster_job::drain(const std::string& node) {
  const auto number = number_of(node);
  if (!number || phase_ > phase::running)
    return true; // Free as soon as the session is closed.
  leaving_.insert(*number);
  // Its stage must keep somebody who stays.
  for (const auto& stage : arrangement_)
    if (std::find(stage.begin(), stage.end(), *number) != stage.end()
        && std::all_of(stage.begin(), stage.end(), [&](node_id other) {
             return gone_.contains(other) || leaving_.contains(other);
           })) {
      leaving_.erase(*number);
      return false;
    }
  if (scheduler_)
    caf::anon_send(scheduler_, member_leaves{*number});
  return true;
}

void cluster_job::stop() {
  stopping_ = true;
  if (phase_ == phase::waiting || phase_ == phase::probing || phase_ == phase::planning)
    end(job_state::stopped, "");
  else if (phase_ == phase::running)
    caf::anon_send(scheduler_, caf::close_atom::value);
}

bool cluster_job::suspend() {
  if (phase_ != phase::running)
    return false;
  suspending_ = true;
  caf::anon_send(scheduler_, caf::close_atom::value);
  return true;
}

nlohmann::json cluster_job::status() const {
  static constexpr const char* names[] = {"preparing", "waiting",  "measuring",
                                          "planning",  "starting", "running",
                                          "ending",    "closing",  "ended"};
  nlohmann::json result{{"phase", names[static_cast<int>(phase_)]}};
  if (!progress_.is_null())
    result["progress"] = progress_;
  if (session_ != 0)
    result["time_scale"] = time_scale_;
  if (!surveyed_.is_null())
    result["probing"] = surveyed_;
  return result;
}

} // namespace skippipe::runtime::daemon
