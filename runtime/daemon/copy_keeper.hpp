// Keeps a copy of every running job's newest checkpoint on one node beside the scheduler's.
#pragma once

#include "actors/executor.hpp"
#include "runtime/daemon/copy_holder.hpp"
#include "runtime/daemon/files.hpp"
#include "runtime/daemon/job_record.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// A checkpoint that wants a copy.
struct copy_wish {
  std::string job;
  std::filesystem::path checkpoint; ///< RUN/checkpoints/step-N.
  std::uint64_t iteration = 0;
  std::size_t keep = 1; ///< Copies of a job, the newest ones.
  std::string holder;   ///< Only this node; empty: any.
};

/// What the keeper needs of the coordinator, in whose turn all of it runs.
struct copy_host {
  std::shared_ptr<actors::executor> files; ///< Reads and links files.
  file_shelf* shelf = nullptr;             ///< Serves those who fetch.
  std::function<std::string()> scheduler_host;
  std::function<std::vector<copy_candidate>()> candidates;
  std::function<void(std::function<void()>)> in_turn; ///< Thread-safe.
  std::function<void(const std::string& job, const std::string& line)> note;
  std::function<std::vector<held_copy>(const std::string& job)> copies;
  std::function<void(const std::string& job, std::vector<held_copy>)> keep; ///< Durable.
};

/// One copy of a job is on its way at a time; what is published meanwhile waits, the newest only. The
/// files are held by hard links until they have arrived: they outlive the checkpoint's removal.
class copy_keeper : public std::enable_shared_from_this<copy_keeper> {
public:
  explicit copy_keeper(copy_host host) : host_(std::move(host)) {}

  void published(copy_wish wish);
  void reported(const copy_report& report, const caf::actor_addr& sender);
  void joined();
  void lost(const std::string& node);
  bool busy() const; ///< A copy is on its way.

private:
  struct flight {
    copy_wish wish;
    copy_candidate holder;
    file_set files;              ///< Once read.
    std::filesystem::path links; ///< Empty: served from where it is.
  };
  struct task {
    copy_wish newest;
    std::uint64_t failed = 0; ///< This one is not tried again; the next one is.
    bool told = false;        ///< That the wanted node is not here.
    std::uint64_t flights = 0;
    std::optional<flight> under_way;
  };

  bool is_held(const copy_wish& wish, const std::vector<copy_candidate>& there) const;
  void begin(const std::string& job);
  void send(const std::string& job, std::uint64_t number, file_set files,
            std::filesystem::path links, const std::string& problem);
  void taken(const flight& done);
  void end_flight(task& of);

  copy_host host_;
  std::map<std::string, task> tasks_; ///< By job.
};

} // namespace skippipe::runtime::daemon
