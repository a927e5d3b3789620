// Of the coordinator: copies of checkpoints on other nodes.
#include "runtime/daemon/coordinator.hpp"

#include "runtime/config/address.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/run_folder.hpp"

#include <utility>

namespace skippipe::runtime::daemon {

namespace {

std::string host_of(const std::string& where) {
  const auto parsed = parse_address(where);
  return parsed ? parsed->host : std::string{};
}

} // namespace

copy_host coordinator_state::make_copy_host() {
  copy_host host;
  host.files = files;
  host.shelf = &shelf;
  host.scheduler_host = [this] { return host_of(options.control()); };
  host.candidates = [this] {
    std::vector<copy_candidate> there;
    for (const auto& [name, who] : members_)
      if (who.is_there() && who.state != member_state::draining && name != options.name) {
        auto at = host_of(who.info.control);
        there.push_back({name, at.empty() ? host_of(who.info.data) : at, who.info.worker});
      }
    return there;
  };
  host.in_turn = [me = local_coordinator_actor{self}](std::function<void()> work) {
    caf::anon_send(me, errand{std::move(work)});
  };
  host.note = [this](const std::string& job, const std::string& line) {
    emit(job, events::note(line));
  };
  host.copies = [this](const std::string& job) {
    const auto* known = find_job(job);
    return known != nullptr ? known->copies : std::vector<held_copy>{};
  };
  host.keep = [this](const std::string& job, std::vector<held_copy> held) {
    keep_copies(job, std::move(held));
  };
  return host;
}

void coordinator_state::keep_copies(const std::string& job, std::vector<held_copy> held) {
  auto* known = find_job(job);
  if (known == nullptr)
    return;
  if (running && running->record().id == job)
    running->set_copies(held);
  known->copies = std::move(held);
  book_->keep(*known);
}

void coordinator_state::take(const copy_report& report) {
  if (const auto& sender = self->current_sender())
    copies->reported(report, caf::actor_cast<caf::actor_addr>(sender));
  try_closed();
}

/// The end, once the last checkpoint's copy has left; nobody is waited for long.
void coordinator_state::try_closed() {
  if (!closing_ || running || closed_)
    return;
  if (copies->busy()) {
    self->delayed_send(self, std::chrono::seconds{10}, errand{[this] {
                         if (!std::exchange(closed_, true))
                           options.on_closed();
                       }});
    return;
  }
  closed_ = true;
  options.on_closed();
}

/// Of the job whose run this one goes on with.
void coordinator_state::inherit_copies(job_record& record) const {
  for (const auto& job : jobs_)
    if (same_folder(record.resume, job.run_dir))
      record.copies = job.copies;
}

} // namespace skippipe::runtime::daemon
