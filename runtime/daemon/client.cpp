#include "runtime/daemon/client.hpp"

#include "runtime/cli.hpp"
#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/known_clusters.hpp"
#include "runtime/train/events.hpp"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;
using nlohmann::json;

/// What the follower actor hands to the thread that waits.
struct client::inbox {
  void put(std::optional<json> event) {
    {
      const std::lock_guard guard{mutex};
      events.push_back(std::move(event));
    }
    wake.notify_one();
  }
  std::optional<json> take() {
    std::unique_lock guard{mutex};
    wake.wait(guard, [this] { return !events.empty(); });
    auto first = std::move(events.front());
    events.pop_front();
    return first;
  }

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::optional<json>> events; ///< None: no more will come.
  bool lost = false;                      ///< The scheduler has gone.
};

namespace {

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
  coordinator_ = plane_->connect(*seed, problem);
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
               [&](const caf::error& why) {
                 reply.error = where_ + ": the scheduler does not answer: " + plain_text(why)
                               + "; see whether its daemon runs";
               });
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

template <class Request>
bool client::follow_after(Request request, const event_handler& on_event) {
  auto& system = plane_->system();
  auto follower = system.spawn([box = inbox_, shelf = &shelf_, whom = coordinator_](
                                   follower_actor::pointer self) -> follower_actor::behavior_type {
    self->monitor(whom);
    self->set_down_handler([box](const caf::down_msg&) {
      box->lost = true;
      box->put(std::nullopt);
    });
    return {[box](const std::string& text) {
              auto event = json::parse(text, nullptr, false);
              if (event.is_object())
                box->put(std::move(event));
            },
            // A part at a time, from the page cache: short enough for a handler.
            [shelf](const file_part_request& wanted) { return shelf->read(wanted); }};
  });
  request.follower = follower;
  answer reply;
  {
    caf::scoped_actor self{system};
    self->request(coordinator_, std::chrono::seconds{60}, std::move(request))
        .receive([&](const answer& given) { reply = given; },
                 [&](const caf::error& why) {
                   reply.error = where_ + ": the scheduler does not answer: " + plain_text(why);
                 });
  }
  request.follower = nullptr;
  bool last = false;
  if (reply.error.empty())
    while (auto event = inbox_->take()) {
      on_event(*event);
      if ((last = events::is_last(*event)))
        break;
    }
  caf::anon_send_exit(follower, caf::exit_reason::user_shutdown);
  if (!reply.error.empty())
    throw command_error(reply.error);
  if (!last && inbox_->lost)
    throw command_error(where_
                        + ": the scheduler is out of reach; the job goes on without us, "
                          "see `skippipe attach "
                        + reply.text + "`");
  return last;
}

bool client::submit(submit_request request, const fs::path& data, const event_handler& on_event) {
  request.data = data_files(data);
  shelf_.put(request.data, data);
  return follow_after(std::move(request), on_event);
}

bool client::follow(const std::string& job, const event_handler& on_event) {
  return follow_after(follow_request{job, {}}, on_event);
}

void client::stop_following() { inbox_->put(std::nullopt); }

} // namespace skippipe::runtime::daemon
