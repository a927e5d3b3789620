#include "runtime/daemon/copy_keeper.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

/// A folder of hard links to the files of `checkpoint`; empty where the file system has none.
fs::path link_files(const fs::path& checkpoint, const std::string& job) {
  const auto links = checkpoint.parent_path().parent_path() / ".copying" / job;
  std::error_code problem;
  fs::remove_all(links, problem);
  fs::create_directories(links, problem);
  for (fs::directory_iterator it(checkpoint, problem), end; !problem && it != end;
       it.increment(problem))
    fs::create_hard_link(it->path(), links / it->path().filename(), problem);
  if (!problem)
    return links;
  fs::remove_all(links, problem);
  return {};
}

/// With `fresh`, the newest `keep` of a job's copies; the others are moved to `dropped`.
std::vector<held_copy> newest_of(std::vector<held_copy> copies, held_copy fresh, std::size_t keep,
                                 std::vector<held_copy>& dropped) {
  std::erase_if(copies, [&](const held_copy& one) {
    return one.node == fresh.node && one.files.id == fresh.files.id;
  });
  copies.push_back(std::move(fresh));
  std::stable_sort(copies.begin(), copies.end(),
                   [](const auto& a, const auto& b) { return a.iteration < b.iteration; });
  const auto excess = copies.size() - std::min(copies.size(), keep);
  const auto first = copies.begin() + static_cast<std::ptrdiff_t>(excess);
  dropped.assign(copies.begin(), first);
  copies.erase(copies.begin(), first);
  return copies;
}

std::vector<std::string> sets_at(const std::string& node, const std::vector<held_copy>& copies) {
  std::vector<std::string> ids;
  for (const auto& one : copies)
    if (one.node == node)
      ids.push_back(one.files.id);
  return ids;
}

} // namespace

void copy_keeper::published(copy_wish wish) {
  const auto job = wish.job;
  tasks_[job].newest = std::move(wish);
  begin(job);
}

bool copy_keeper::is_held(const copy_wish& wish, const std::vector<copy_candidate>& there) const {
  const auto copies = host_.copies(wish.job);
  return std::any_of(copies.begin(), copies.end(), [&](const held_copy& copy) {
    return copy.iteration >= wish.iteration
           && std::any_of(there.begin(), there.end(), [&](const copy_candidate& one) {
                return one.name == copy.node && (wish.holder.empty() || wish.holder == copy.node);
              });
  });
}

void copy_keeper::begin(const std::string& job) {
  auto& task = tasks_[job];
  const auto& wish = task.newest;
  if (task.under_way || task.failed == wish.iteration)
    return;
  const auto there = host_.candidates();
  if (is_held(wish, there))
    return;
  const auto copies = host_.copies(job);
  const auto* holder = choose_holder(
      there, job,
      {wish.holder, copies.empty() ? std::string{} : copies.back().node, host_.scheduler_host()});
  if (holder == nullptr) {
    if (!wish.holder.empty() && !std::exchange(task.told, true))
      host_.note(job, "checkpoint.store asks for copies on node '" + wish.holder
                          + "', which is not here (or is the scheduler's): there are none until it "
                            "joins");
    return;
  }
  task.told = false;
  task.under_way = flight{wish, *holder, {}, {}};
  host_.files->submit(actors::work_kind::other,
                      [self = shared_from_this(), job, wish, number = ++task.flights] {
                        file_set files;
                        fs::path links;
                        std::string problem;
                        try {
                          links = link_files(wish.checkpoint, job);
                          files = checkpoint_files(links.empty() ? wish.checkpoint : links);
                        } catch (const std::exception& why) {
                          problem = why.what();
                        }
                        self->host_.in_turn([self, job, number, files, links, problem] {
                          self->send(job, number, files, links, problem);
                        });
                      });
}

void copy_keeper::send(const std::string& job, std::uint64_t number, file_set files, fs::path links,
                       const std::string& problem) {
  auto& task = tasks_[job];
  if (!task.under_way || task.flights != number)
    return; // The holder has gone meanwhile.
  auto& flight = *task.under_way;
  flight.files = std::move(files);
  flight.links = std::move(links);
  if (!problem.empty()) {
    task.failed = flight.wish.iteration;
    host_.note(job,
               "no copy of checkpoint " + std::to_string(flight.wish.iteration) + ": " + problem);
    return end_flight(task);
  }
  host_.shelf->put(flight.files, flight.links.empty() ? flight.wish.checkpoint : flight.links);
  std::vector<held_copy> dropped;
  const auto rest =
      newest_of(host_.copies(job), {flight.holder.name, flight.wish.iteration, flight.files},
                flight.wish.keep, dropped);
  caf::anon_send(flight.holder.worker,
                 copy_order{job, flight.files, sets_at(flight.holder.name, rest)});
}

void copy_keeper::reported(const copy_report& report, const caf::actor_addr& sender) {
  const auto found = tasks_.find(report.job);
  // R8: only whom it was asked of has anything to say.
  if (found == tasks_.end() || !found->second.under_way
      || found->second.under_way->files.id != report.set
      || found->second.under_way->holder.worker.address() != sender)
    return;
  auto& task = found->second;
  if (report.error.empty()) {
    taken(*task.under_way);
  } else {
    task.failed = task.under_way->wish.iteration;
    host_.note(report.job, "no copy of checkpoint " + std::to_string(task.failed) + " on node '"
                               + task.under_way->holder.name + "': " + report.error);
  }
  end_flight(task);
  begin(report.job);
}

void copy_keeper::taken(const flight& done) {
  std::vector<held_copy> dropped;
  const auto& job = done.wish.job;
  auto rest = newest_of(host_.copies(job), {done.holder.name, done.wish.iteration, done.files},
                        done.wish.keep, dropped);
  // Who held older ones may let them go; the holder has been told with the order.
  for (const auto& one : host_.candidates())
    if (one.name != done.holder.name && !sets_at(one.name, dropped).empty())
      caf::anon_send(one.worker, copy_order{job, {}, sets_at(one.name, rest)});
  host_.keep(job, std::move(rest));
}

void copy_keeper::end_flight(task& of) {
  const auto done = std::exchange(of.under_way, std::nullopt);
  if (done->links.empty())
    return;
  // The set is as good from where it was, for as long as it is there.
  if (!done->files.id.empty())
    host_.shelf->put(done->files, done->wish.checkpoint);
  host_.files->submit(actors::work_kind::other, [links = done->links] {
    std::error_code ignored;
    fs::remove_all(links, ignored);
    fs::remove(links.parent_path(), ignored); // Unless another job's are there.
  });
}

bool copy_keeper::busy() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& one) { return one.second.under_way.has_value(); });
}

void copy_keeper::joined() {
  for (auto& [job, task] : tasks_) {
    task.failed = 0;
    begin(job);
  }
}

void copy_keeper::lost(const std::string& node) {
  for (auto& [job, task] : tasks_) {
    if (task.under_way && task.under_way->holder.name == node)
      end_flight(task);
    begin(job);
  }
}

} // namespace skippipe::runtime::daemon
