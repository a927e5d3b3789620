// The scheduler's daemon as one actor: who is a member, which jobs there are, which one runs.
#pragma once

#include "runtime/daemon/cluster_job.hpp"
#include "runtime/daemon/job_record.hpp"
#include "runtime/daemon/messages.hpp"
#include "runtime/daemon/profile_book.hpp"
#include "runtime/daemon/trace_feed.hpp"
#include "runtime/daemon/upload_limits.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// With what else its daemon tells it.
using local_coordinator_actor =
    coordinator_actor::extend<caf::reacts_to<errand>, caf::reacts_to<caf::close_atom>,
                              // The revocation list in use is another one.
                              caf::reacts_to<caf::update_atom>>;

struct coordinator_options {
  std::string cluster = "default", name; ///< The scheduler node's.
  std::function<std::string()> control;  ///< HOST:PORT, for people.
  std::string relay;                     ///< Where this node relays, HOST:PORT; empty: nowhere.
  std::filesystem::path dir, journal;
  std::uint64_t term = 1;
  double detect_within_s = 4;
  profile_config profile;
  std::string wire_dtype = "float32";
  bool sealed = false;
  actors::compute_pool* background = nullptr;
  upload_limits* upload = nullptr;
  const part_asker* asker = nullptr;
  std::shared_ptr<const link_table> links;     ///< Of emulated nodes; null: none.
  std::function<void(const std::string&)> log; ///< One line; any thread.
  /// The name in the certificate of a directly connected process; "" where there is none. May block.
  std::function<std::string(const caf::node_id&)> certificate_name;
  std::function<void()> on_closed; ///< After close_atom: nothing runs any more.
  /// Whether a node called so may join with this token: "" or why not. Unless it `only_asks`, that uses
  /// the token up.
  std::function<std::string(const std::string& name, const std::string& token, bool only_asks)>
      admit;
  std::function<void(const std::string& name)> forget; ///< It must bring a new token.
  /// Takes over a revocation list when it is newer; true when it was. Throws for a bad one.
  std::function<bool(const std::string& pem)> revoke;
  std::function<std::string()> revoked; ///< The list in use; "" for none.
  /// A new token for so many seconds, as a JSON object.
  std::function<std::string(double seconds)> make_token;
};

enum class member_state { joining, ready, working, draining, left, failed };

struct member {
  join_request info;
  member_state state = member_state::ready;
  std::optional<stage_id> stage;
  std::string reason; ///< Why it left or failed.
  bool is_there() const { return state != member_state::left && state != member_state::failed; }
  bool is_free() const { return state == member_state::ready && !stage; }
};

struct coordinator_state {
  static inline constexpr const char* name = "coordinator";

  void start(local_coordinator_actor::pointer self, coordinator_options options);
  answer greet(const seed_request& wanted, const caf::strong_actor_ptr& sender);
  join_answer join(join_request& wanted, const caf::strong_actor_ptr& sender);
  answer leave(const leave_request& wanted);
  void down(const caf::down_msg& why);
  answer submit(submit_request& request);
  answer follow(const follow_request& request);
  clock_answer tell_clock(const clock_request& wanted, const caf::strong_actor_ptr& sender);
  answer run_command(const command& wanted, const caf::strong_actor_ptr& sender);
  /// `tell` is called once, on any thread.
  void list_trace(const trace_list_request& wanted, std::function<void(trace_listing)> tell);
  void read_trace(const trace_part_request& wanted, std::function<void(trace_part)> tell);
  caf::result<trace_events> pull_trace(const trace_pull& wanted);
  void close();
  void take(const copy_report& report);
  answer revoke(const std::string& pem);
  void spread_revocations();

  local_coordinator_actor::pointer self = nullptr;
  coordinator_options options;
  file_shelf shelf;
  std::shared_ptr<cluster_job> running;
  std::shared_ptr<actors::executor> files;   ///< Reads for those who fetch.
  std::shared_ptr<actors::executor> uploads; ///< Waits for the data of jobs.
  std::shared_ptr<trace_feed> feed;          ///< Of the running job's events.
  std::shared_ptr<copy_keeper> copies;
  std::shared_ptr<profile_book> book; ///< What members cost.

private:
  struct history {
    nlohmann::json started; ///< The newest start that is not among `recent` any more.
    std::vector<nlohmann::json> recent;
    std::vector<follower_actor> followers;
  };

  /// Someone who follows a trace.
  struct watcher {
    trace_feed::follower_no follower = 0;
    std::string job;
    std::optional<caf::typed_response_promise<trace_events>> promise; ///< He waits.
    std::uint64_t requests = 0;
  };

  const job_record* current(const std::string& id);
  const job_record* job_with_trace(const std::string& id, std::string& problem);
  std::string begin_following(const caf::strong_actor_ptr& who, const trace_pull& wanted);
  bool answer_watcher(const caf::actor_addr& address, bool anyhow);
  void answer_watchers();
  void forget_watcher(const caf::actor_addr& address);
  std::string refuse(const join_request& wanted, const caf::strong_actor_ptr& from,
                     bool& permanent) const;
  std::string admit(const join_request& wanted, bool& permanent) const;
  void note_refusal(const std::string& whom, const std::string& why);
  void lose(member& who, member_state state, const std::string& reason);
  void dismiss(member& who, const std::string& reason);
  void fetch_data(const job_record& job, const follower_actor& submitter);
  void data_fetched(const std::string& job, const std::string& problem);
  std::int64_t now_ns() const; ///< By the clock that delays messages; virtual in tests.
  void start_next();
  void offer_nodes(bool say);
  job_host make_host();
  copy_host make_copy_host();
  void keep_copies(const std::string& job, std::vector<held_copy> copies);
  void try_closed();
  void emit(const std::string& job, const nlohmann::json& event);
  job_record* find_job(const std::string& id);
  nlohmann::json profile_of(const member& who) const;
  answer nodes_json() const;
  answer jobs_json() const;
  answer status_json() const;
  answer drain(const std::string& node, double deadline_s);
  answer remove(const std::string& node, bool force);
  answer relay_of(const std::string& node) const;
  answer stop_job(const std::string& id);
  void inherit_copies(job_record& record) const;
  answer make_token(const caf::strong_actor_ptr& wanted_by, double seconds) const;

  std::map<std::string, member> members_;
  std::map<std::string, std::uint64_t> lives_;  ///< Highest incarnation seen, by name.
  std::map<std::string, std::string> refusals_; ///< The last one of a name, which is logged once.
  std::unique_ptr<job_book> book_;
  std::vector<job_record> jobs_; ///< In the order of their submission.
  std::map<std::string, history> histories_;
  std::set<std::string> fetching_; ///< Jobs whose data is on its way.
  std::map<caf::actor_addr, watcher> watchers_;
  bool closing_ = false, closed_ = false;
  // By `now_ns`:
  std::int64_t patience_until_ns_ = 0; ///< For the nodes that a resumed job had.
  std::int64_t joined_ns_ = 0;         ///< When the last node joined.
  /// Since when there are nodes enough for the job that waits.
  std::optional<std::int64_t> could_start_ns_;
};

local_coordinator_actor::behavior_type
coordinator(local_coordinator_actor::stateful_pointer<coordinator_state> self,
            coordinator_options options);

} // namespace skippipe::runtime::daemon
