// A command's connection to a cluster.
#pragma once

#include "runtime/daemon/control_plane.hpp"
#include "runtime/daemon/files.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

/// Where the cluster is and which keys open it.
struct cluster_words {
  std::string cluster; ///< HOST:PORT; empty: SKIPPIPE_CLUSTER.
  std::string keys; ///< Folder; empty: SKIPPIPE_KEYS, else what `known_clusters` says, else none.
};

/// Everything blocks; errors throw command_error with one line.
class client {
public:
  explicit client(const cluster_words& words);
  ~client();

  const std::string& where() const { return where_; }

  /// The answer to a command, parsed.
  nlohmann::json ask(const std::string& what, const std::string& name = {}, double seconds = 0);
  /// The same as text.
  std::string order(const std::string& what, const std::string& name = {}, double seconds = 0);

  /// Calls `on_event` for each event of a job until the last one or until `stop_following`. True: it was
  /// the last one.
  using event_handler = std::function<void(const nlohmann::json&)>;
  bool submit(submit_request request, const std::filesystem::path& data,
              const event_handler& on_event);
  bool follow(const std::string& job, const event_handler& on_event);
  void stop_following(); ///< Any thread.

  // Of a job's trace; one thread.
  trace_listing list_trace(const trace_list_request& wanted);
  trace_part read_trace(const trace_part_request& wanted);
  /// Always from the same follower, as the scheduler sees it.
  trace_events pull_trace(const trace_pull& wanted);

private:
  template <class Reply, class Request>
  Reply request(const Request& wanted);
  template <class Request>
  bool follow_after(Request request, const event_handler& on_event);
  template <class Request>
  std::string begin_following(Request request);
  void end_following();
  bool reach_again(const std::string& job);

  std::string where_;
  std::unique_ptr<control_plane> plane_;
  coordinator_actor coordinator_;
  std::unique_ptr<caf::scoped_actor> voice_; ///< Of the commanding thread.
  file_shelf shelf_;
  struct inbox;
  std::shared_ptr<inbox> inbox_;
  follower_actor follower_;
  std::vector<std::string> past_; ///< Events that were passed on.
};

} // namespace skippipe::runtime::daemon
