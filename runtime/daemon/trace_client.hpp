// The trace of a job on a cluster, for commands: fetched into a folder, or followed as it comes.
#pragma once

#include "actors/trace/file.hpp"
#include "runtime/daemon/client.hpp"

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace skippipe::runtime::daemon {

/// A folder that looks like the job's run folder to all who read traces; gone with its object.
class fetched_trace {
public:
  /// Of the iterations that `filter` keeps. Throws command_error.
  fetched_trace(client& cluster, const std::string& job, const trace::event_filter& filter);
  /// Of the newest ones: those that may not be committed, and the last two or so that are.
  static fetched_trace newest(client& cluster, const std::string& job);
  ~fetched_trace();
  fetched_trace(fetched_trace&& other) noexcept;
  fetched_trace(const fetched_trace&) = delete;
  fetched_trace& operator=(const fetched_trace&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& title() const { return title_; } ///< "job J of the cluster at H:P".

private:
  fetched_trace() = default;
  void fetch(client& cluster, const std::string& job, trace::event_filter filter,
             std::optional<iteration_no> back); ///< So many before the last that is committed.
  bool copy(client& cluster, const trace_listing& listing, const trace::event_filter& filter);

  std::filesystem::path folder_;
  std::string title_;
};

struct follow_words {
  trace_pull wanted;
  bool json = false;
};

/// Prints events until the job ends or Ctrl-C; both are success. Events of different nodes come in the
/// order of their times, for which they are held back for a moment. Throws command_error.
int follow_trace(const cluster_words& where, const follow_words& words, std::ostream& out,
                 std::ostream& err);

} // namespace skippipe::runtime::daemon
