// Who is asked to hold the copy of a checkpoint, and what becomes of it when nodes come and go.
#include "runtime/daemon/copy_keeper.hpp"

#include "../model/files_checkpoint_fixture.hpp"
#include "scratch_folder.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::runtime::daemon;
using skippipe::runtime::testing::scratch_folder;
namespace fs = std::filesystem;

namespace {

/// Runs everything at once.
struct immediate final : actors::executor {
  void submit(actors::work_kind, std::function<void()> work) override { work(); }
};

struct sent_order {
  std::string node;
  copy_order order;
};

/// A coordinator's worth of callbacks, and nodes that note what they are told.
struct world {
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  scratch_folder here;
  file_shelf shelf;
  std::vector<copy_candidate> nodes;
  std::vector<sent_order> orders;
  std::vector<std::string> notes;
  std::map<std::string, std::vector<held_copy>> copies;
  std::shared_ptr<copy_keeper> keeper;

  world() {
    register_messages(config);
    config.set("scheduler.policy", caf::atom("testing"));
    system = std::make_unique<caf::actor_system>(config);
    copy_host host;
    host.files = std::make_shared<immediate>();
    host.shelf = &shelf;
    host.scheduler_host = [] { return std::string{"10.0.0.1"}; };
    host.candidates = [this] { return nodes; };
    host.in_turn = [](std::function<void()> work) { work(); };
    host.note = [this](const std::string&, const std::string& line) { notes.push_back(line); };
    host.copies = [this](const std::string& job) { return copies[job]; };
    host.keep = [this](const std::string& job, std::vector<held_copy> held) {
      copies[job] = std::move(held);
    };
    keeper = std::make_shared<copy_keeper>(std::move(host));
  }
  ~world() {
    for (auto& node : nodes)
      caf::anon_send_exit(node.worker, caf::exit_reason::kill);
    nodes.clear();
    orders.clear();
    run();
  }

  void run() { dynamic_cast<caf::scheduler::test_coordinator&>(system->scheduler()).run(); }

  void add(const std::string& name) {
    // The name is an argument: without any, CAF 0.17 binds a reference to a tuple that is not there.
    const auto act = [this](const std::string& name) -> worker_actor::behavior_type {
      return {[](const session_open&) {},
              [](const session_message&) {},
              [](const session_peer_gone&) {},
              [](const session_close&) {},
              [](const dismissal&) {},
              [](const revocation_list&) {},
              [this, name](const copy_order& order) {
                orders.push_back({name, order});
              },
              [](const file_part_request&) { return file_part{}; },
              [](const probe_open&) {},
              [](const probe_pair&) {},
              [](const probe_close&) {}};
    };
    nodes.push_back({name, "10.0.0.1", system->spawn(act, name)});
  }
  void remove(const std::string& name) {
    std::erase_if(nodes, [&](copy_candidate& one) {
      if (one.name != name)
        return false;
      caf::anon_send_exit(one.worker, caf::exit_reason::kill);
      return true;
    });
    keeper->lost(name);
    run();
  }

  fs::path publish(std::uint64_t iteration, std::size_t keep = 2, const std::string& holder = "") {
    const auto folder = small_checkpoint{}.write(here / "run/checkpoints", iteration);
    keeper->published({"job", folder, iteration, keep, holder});
    run();
    return folder;
  }
  void report(const sent_order& sent, const std::string& error = "") {
    for (const auto& node : nodes)
      if (node.name == sent.node)
        keeper->reported({"job", sent.order.files.id, error}, node.worker.address());
    run();
  }
  std::vector<std::uint64_t> held() {
    std::vector<std::uint64_t> iterations;
    for (const auto& copy : copies["job"])
      iterations.push_back(copy.iteration);
    return iterations;
  }
  /// Whether the node that was told can read all of it.
  bool serves(const copy_order& order) {
    for (const auto& file : order.files.files)
      if (shelf.read({order.files.id, file.name, 0}).bytes.size() != file.size)
        return false;
    return true;
  }
};

using steps = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("one copy at a time, then the newest", "[daemon][copies]") {
  world w;
  w.add("a");
  w.publish(10);
  REQUIRE(w.orders.size() == 1);
  CHECK(w.serves(w.orders[0].order));
  w.publish(20);
  w.publish(30);
  CHECK(w.orders.size() == 1);
  CHECK(w.held().empty());
  w.report(w.orders[0]);
  CHECK(w.held() == steps{10});
  REQUIRE(w.orders.size() == 2);
  CHECK(w.orders[1].order.keep
        == std::vector<std::string>{w.orders[0].order.files.id, w.orders[1].order.files.id});
  w.report(w.orders[1]);
  CHECK(w.held() == steps{10, 30});
  w.publish(40);
  w.report(w.orders[2]);
  CHECK(w.held() == steps{30, 40});
  CHECK(w.orders.size() == 3);
  CHECK(w.notes.empty());
}

TEST_CASE("a checkpoint can be removed while its copy is on its way", "[daemon][copies]") {
  world w;
  w.add("a");
  fs::remove_all(w.publish(10));
  CHECK(w.serves(w.orders.at(0).order));
  w.report(w.orders[0]);
  CHECK_FALSE(w.serves(w.orders[0].order));
  CHECK_FALSE(fs::exists(w.here / "run/.copying"));
}

TEST_CASE("another node takes over from one that is lost", "[daemon][copies]") {
  world w;
  w.add("a");
  w.add("b");
  w.publish(10);
  const auto first = w.orders.at(0).node;
  w.remove(first); // Before it had the copy.
  REQUIRE(w.orders.size() == 2);
  CHECK(w.orders[1].node != first);
  w.report(w.orders[1]);
  CHECK(w.held() == steps{10});
  w.add("c");
  w.keeper->joined();
  w.run();
  CHECK(w.orders.size() == 2); // All is well.
  w.remove(w.orders[1].node);  // After.
  REQUIRE(w.orders.size() == 3);
  CHECK(w.orders[2].node == "c");
  w.report(w.orders[2]);
  CHECK(w.copies["job"].back().node == "c");
}

TEST_CASE("older copies on another node are let go", "[daemon][copies]") {
  world w;
  w.add("a");
  w.publish(10, 1);
  w.report(w.orders.at(0));
  w.add("b");
  w.publish(20, 1, "b");
  REQUIRE(w.orders.size() == 2);
  CHECK(w.orders[1].node == "b");
  w.report(w.orders[1]);
  CHECK(w.held() == steps{20});
  REQUIRE(w.orders.size() == 3);
  CHECK(w.orders[2].node == "a");
  CHECK(w.orders[2].order.files.id.empty());
  CHECK(w.orders[2].order.keep.empty());
}

TEST_CASE("a copy that fails is told once and tried with the next checkpoint", "[daemon][copies]") {
  world w;
  w.add("a");
  w.publish(10);
  w.report(w.orders.at(0), "disk full");
  CHECK(w.notes.size() == 1);
  CHECK(w.notes[0].find("disk full") != std::string::npos);
  CHECK(w.orders.size() == 1);
  w.publish(20);
  CHECK(w.orders.size() == 2);
}

TEST_CASE("a wanted node that is not here is named once", "[daemon][copies]") {
  world w;
  w.add("a");
  w.publish(10, 2, "b");
  w.publish(20, 2, "b");
  CHECK(w.orders.empty());
  CHECK(w.notes.size() == 1);
  w.add("b");
  w.keeper->joined();
  w.run();
  CHECK(w.orders.at(0).node == "b");
}

TEST_CASE("only whom it was asked of can report a copy", "[daemon][copies][R8]") {
  world w;
  w.add("a");
  w.add("b");
  w.publish(10);
  const auto asked = w.orders.at(0);
  for (const auto& node : w.nodes)
    if (node.name != asked.node)
      w.keeper->reported({"job", asked.order.files.id, ""}, node.worker.address());
  w.keeper->reported({"other", asked.order.files.id, ""}, w.nodes[0].worker.address());
  CHECK(w.held().empty());
  w.report({asked.node, {"job", {"wrong", {}}, {}}});
  CHECK(w.held().empty());
  w.report(asked);
  CHECK(w.held() == steps{10});
}
