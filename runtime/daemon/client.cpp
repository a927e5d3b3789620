#include "runtime/daemon/client.hpp"

#include "runtime/command_error.hpp"
#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/train/events.hpp"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <set>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;
using nlohmann::json;

/// What the follower actor hands to the thread that waits.
struct client::inbox {
  void put(std::string text) {
    {
      const std::lock_guard guard{mutex};
      texts.push_back(std::move(text));
    }
    wake.notify_one();
  }
  void close() {
    {
      const std::lock_guard guard{mutex};
      closed = true;
    }
    wake.notify_one();
  }
  /// Nothing once it is closed.
  std::optional<std::string> take() {
    std::unique_lock guard{mutex};
    wake.wait(guard, [this] { return closed || !texts.empty(); });
    if (closed)
      return std::nullopt;
    auto first = std::move(texts.front());
    texts.pop_front();
    return first;
  }
  /// Waits so long for that.
  bool is_closed(std::chrono::milliseconds patience) {
    std::unique_lock guard{mutex};
    return wake.wait_for(guard, patience, [this] { return closed; });
  }

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::string> texts; ///< Events of the job, as JSON, or that the scheduler has gone.
  bool closed = false;
};

namespace {

constexpr const char* out_of_reach = "";
constexpr std::chrono::seconds reach_again_for{20};
constexpr std::size_t most_past = 8192; ///< More than the scheduler tells again.

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != 0 ? value : nullptr;
}

std::string cluster_of(const cluster_words& words) {
  if (!words.cluster.empty())
    return words.cluster;
  if (const char* value = environment("SKIPPIPE_CLUSTER"))
    return value;
  throw command_error("which cluster? give --cluster HOST:PORT or set SKIPPIPE_CLUSTER",
                      exit_usage);
}

fs::path keys_of(const cluster_words& words, const std::string& where) {
  if (!words.keys.empty())
    return words.keys;
  if (const char* value = environment("SKIPPIPE_KEYS"))
    return value;
  return keys_of_cluster(where);
}

std::string silence(const std::string& where, const caf::error& why) {
  return where + ": the scheduler does not answer: " + plain_text(why)
         + "; see whether its daemon runs";
}

} // namespace

client::client(const cluster_words& words)
    : where_(cluster_of(words)), inbox_(std::make_shared<inbox>()) {
  const auto seed = parse_address(where_);
  if (!seed || seed->port == 0)
    throw command_error("--cluster: expected HOST:PORT, got '" + where_ + "'", exit_usage);
  control_options options;
  options.listens = false;
  const auto keys = keys_of(words, where_);
  if (!keys.empty()) {
    for (const char* name : {"ca.pem", "certificate.pem", "key.pem"})
      if (!fs::exists(keys / name))
        throw command_error(keys.string() + ": holds no " + name
                            + "; --keys takes a folder that `skippipe certs issue` has made");
    options.tls = true;
    options.files = {keys / "ca.pem", keys / "certificate.pem", keys / "key.pem",
                     keys / "revoked.pem"};
  }
  plane_ = std::make_unique<control_plane>(options);
  std::string problem;
  bool refused = false;
  coordinator_ = plane_->connect(*seed, problem, refused);
  if (refused)
    throw command_error(where_ + ": " + problem);
  if (!coordinator_)
    throw command_error(
        problem
        + (keys.empty() ? "; start the cluster, correct --cluster, or give its keys with --keys DIR"
                        : "; start the cluster, or correct --cluster or --keys"));
  voice_ = std::make_unique<caf::scoped_actor>(plane_->system());
}

client::~client() { coordinator_ = nullptr; }

template <class Reply, class Request>
Reply client::request(const Request& wanted) {
  Reply reply;
  (*voice_)
      ->request(coordinator_, std::chrono::seconds{30}, wanted)
      .receive([&](Reply& given) { reply = std::move(given); },
               [&](const caf::error& why) { reply.error = silence(where_, why); });
  if (!reply.error.empty())
    throw command_error(reply.error);
  return reply;
}

trace_listing client::list_trace(const trace_list_request& wanted) {
  return request<trace_listing>(wanted);
}
trace_part client::read_trace(const trace_part_request& wanted) {
  return request<trace_part>(wanted);
}
trace_events client::pull_trace(const trace_pull& wanted) { return request<trace_events>(wanted); }

std::string client::order(const std::string& what, const std::string& name, double seconds) {
  command wanted;
  wanted.what = what;
  wanted.name = name;
  wanted.seconds = seconds;
  return request<answer>(wanted).text;
}

json client::ask(const std::string& what, const std::string& name, double seconds) {
  return json::parse(order(what, name, seconds));
}

/// Begins to follow; returns the job's id.
template <class Request>
std::string client::begin_following(Request request) {
  auto& system = plane_->system();
  follower_ = system.spawn([box = inbox_, shelf = &shelf_, whom = coordinator_](
                               follower_actor::pointer self) -> follower_actor::behavior_type {
    self->monitor(whom);
    self->set_down_handler([box](const caf::down_msg&) { box->put(out_of_reach); });
    return {[box](const std::string& text) { box->put(text); },
            // A part at a time, from the page cache: short enough for a handler.
            [shelf](const file_part_request& wanted) { return shelf->read(wanted); }};
  });
  request.follower = follower_;
  answer reply;
  caf::scoped_actor self{system};
  self->request(coordinator_, std::chrono::seconds{60}, std::move(request))
      .receive([&](const answer& given) { reply = given; },
               [&](const caf::error& why) { reply.error = silence(where_, why); });
  if (!reply.error.empty()) {
    end_following();
    throw command_error(reply.error);
  }
  return reply.text;
}

void client::end_following() {
  caf::anon_send_exit(follower_, caf::exit_reason::user_shutdown);
  follower_ = nullptr;
}

/// Reaches the scheduler again, which may have been started anew; false when that takes too long or nobody wants
/// to follow any more.
bool client::reach_again(const std::string& job) {
  const auto until = std::chrono::steady_clock::now() + reach_again_for;
  const auto seed = parse_address(where_);
  while (std::chrono::steady_clock::now() < until) {
    if (inbox_->is_closed(std::chrono::seconds{1}))
      return false;
    std::string problem;
    bool refused = false;
    coordinator_ = plane_->connect(*seed, problem, refused);
    if (!coordinator_)
      continue;
    try {
      begin_following(follow_request{job, {}});
      return true;
    } catch (const command_error&) {
      // Not yet, or gone again.
    }
  }
  return false;
}

template <class Request>
bool client::follow_after(Request request, const event_handler& on_event) {
  const auto job = begin_following(std::move(request));
  // Who follows again is told again what has happened before.
  std::multiset<std::string> told;
  while (const auto text = inbox_->take()) {
    if (*text == out_of_reach) {
      end_following();
      on_event(events::note(where_ + ": the scheduler is out of reach; trying again"));
      if (!reach_again(job)) {
        if (inbox_->is_closed({}))
          return false;
        throw command_error(where_
                            + ": the scheduler is out of reach; the job goes on without us, see "
                              "`skippipe attach "
                            + job + "`");
      }
      told = {past_.begin(), past_.end()};
      continue;
    }
    if (const auto again = told.find(*text); again != told.end()) {
      told.erase(again);
      continue;
    }
    const auto event = json::parse(*text, nullptr, false);
    if (!event.is_object())
      continue;
    past_.push_back(*text);
    if (past_.size() > most_past)
      past_.erase(past_.begin(), past_.begin() + most_past / 2);
    on_event(event);
    if (events::is_last(event)) {
      end_following();
      return true;
    }
  }
  end_following();
  return false;
}

bool client::submit(submit_request request, const fs::path& data, const event_handler& on_event) {
  request.data = data_files(data);
  shelf_.put(request.data, data);
  return follow_after(std::move(request), on_event);
}

bool client::follow(const std::string& job, const event_handler& on_event) {
  return follow_after(follow_request{job, {}}, on_event);
}

void client::stop_following() { inbox_->close(); }

} // namespace skippipe::runtime::daemon
