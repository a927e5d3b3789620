// Releases that speak other versions of the protocol part with one line on either side.
#include "runtime/daemon/admission.hpp"
#include "runtime/daemon/coordinator.hpp"
#include "runtime/daemon/membership.hpp"
#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <future>
#include <memory>
#include <mutex>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::runtime::daemon;

namespace {

const auto why = "it speaks version " + std::to_string(protocol_version + 1)
                 + " of the protocol, this cluster " + std::to_string(protocol_version)
                 + "; install the same release on both";

template <class Handle>
void end(control_plane& plane, Handle& whom) {
  caf::scoped_actor self{plane.system()};
  self->send_exit(whom, caf::exit_reason::user_shutdown);
  self->wait_for(whom);
  whom = nullptr;
}

struct scheduler_daemon {
  scheduler_daemon() {
    coordinator_options options;
    options.cluster = "lab";
    options.dir = options.journal = folder.path();
    options.background = &background;
    options.upload = &upload;
    options.asker = &asker;
    options.control = [] { return ""; };
    options.certificate_name = [](const caf::node_id&) { return ""; };
    options.log = [this](const std::string& line) {
      const std::lock_guard guard{mutex};
      lines.push_back(line);
    };
    whom = plane.system().spawn(coordinator, std::move(options));
    port = plane.publish(coordinator_actor{whom});
  }
  ~scheduler_daemon() { end(plane, whom); }

  control_plane plane{control_options{}};
  local_coordinator_actor whom;
  std::uint16_t port = 0;
  testing::scratch_folder folder;
  node_config config;
  upload_limits upload{config};
  actors::compute_pool background{1};
  part_asker asker{plane.system()};
  std::mutex mutex;
  std::vector<std::string> lines;
};

template <class Reply, class Handle, class Request>
Reply ask(caf::actor_system& system, const Handle& whom, const Request& wanted) {
  Reply reply;
  caf::scoped_actor self{system};
  self->request(whom, std::chrono::seconds{30}, wanted)
      .receive([&](Reply& given) { reply = std::move(given); },
               [&](const caf::error& problem) { FAIL(system.render(problem)); });
  return reply;
}

} // namespace

TEST_CASE("the scheduler refuses who speaks another version, and logs it once", "[daemon][R10]") {
  scheduler_daemon scheduler;
  control_plane there{control_options{}};
  auto entry = there.system().middleman().remote_actor<entry_actor>("127.0.0.1", scheduler.port);
  REQUIRE(entry);
  for (int again = 0; again < 2; ++again) {
    const auto reply = ask<answer>(there.system(), *entry, seed_request{protocol_version + 1});
    CHECK(reply.text == refused_entry);
    CHECK(reply.error == why);
  }
  {
    const std::lock_guard guard{scheduler.mutex};
    CHECK(scheduler.lines
          == std::vector<std::string>{"refused 'a program without a certificate': " + why});
  }
  bool refused = true;
  std::string problem;
  const auto found = there.connect({"127.0.0.1", scheduler.port}, problem, refused);
  REQUIRE(found); // Of the same version.
  CHECK_FALSE(refused);
  // Should one come so far that it asks to join.
  join_request wanted;
  wanted.version = protocol_version + 1;
  wanted.name = "late";
  const auto reply = ask<join_answer>(there.system(), found, wanted);
  CHECK(reply.refusal == why);
  CHECK(reply.permanent);
  {
    const std::lock_guard guard{scheduler.mutex};
    CHECK(scheduler.lines.back() == "refused 'late': " + why);
  }
  // R8: of the same version, but with nobody who could work; who only asks needs nobody, and is not logged.
  wanted.version = protocol_version;
  wanted.cluster = "lab";
  wanted.wire_dtype = "float32";
  CHECK(ask<join_answer>(there.system(), found, wanted).refusal == "it brings no worker");
  wanted.only_asks = true;
  CHECK(ask<join_answer>(there.system(), found, wanted).refusal == "");
  wanted.cluster = "other";
  CHECK(ask<join_answer>(there.system(), found, wanted).refusal != "");
  const auto nodes = ask<answer>(there.system(), found, command{protocol_version, "nodes"});
  CHECK(nodes.text.find("late") == std::string::npos);
  const std::lock_guard guard{scheduler.mutex};
  CHECK(scheduler.lines.back() == "refused 'late': it brings no worker");
}

TEST_CASE("a node that is refused says why and does not try again", "[daemon][R10]") {
  control_plane there{control_options{}};
  // Given an argument, for CAF looks at the tuple of none through a null pointer.
  entry_actor scheduler = there.system().spawn(
      [](const answer& reply) -> entry_actor::behavior_type {
        return {[reply](const seed_request&) { return reply; }};
      },
      answer{refused_entry, why});
  const auto port = there.publish(scheduler);
  const std::unique_ptr<control_plane, std::function<void(control_plane*)>> guard{
      &there, [&](control_plane* plane) { end(*plane, scheduler); }};
  CHECK(ask_admission(node_config{}, {{"127.0.0.1", port}}).problem
        == "refused by the scheduler: " + why);
  control_plane here{control_options{}};
  membership_options options;
  options.plane = &here;
  options.seeds = {{"127.0.0.1", port}};
  options.log = [](const std::string&) {};
  std::promise<std::string> refused;
  options.on_refused = [&, told = false](const std::string& line) mutable {
    if (!std::exchange(told, true))
      refused.set_value(line);
  };
  membership node{std::move(options)};
  auto line = refused.get_future();
  REQUIRE(line.wait_for(std::chrono::seconds{30}) == std::future_status::ready);
  CHECK(line.get() == "refused by the scheduler: " + why);
}
