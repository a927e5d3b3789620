// The scheduler's daemon as an actor on virtual time: when a job that waits for nodes starts.
#include "model/prepare.hpp"
#include "runtime/daemon/coordinator.hpp"
#include "scratch_folder.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <catch2/catch.hpp>

#include <future>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::runtime::daemon;
using namespace std::chrono_literals;

namespace {

constexpr const char* job_text = R"(
[job]
name = "wait"
[model]
dim = 32
layers = 2
heads = 4
kv_heads = 2
ffn = 48
vocab = 257
context = 32
[pipeline]
stages = 2
skip_ratio = 0.0
strategy = "full"
microbatches_per_origin = 2
microbatch_size = 2
[data]
dir = "data"
[cluster]
nodes = 2
)";

struct testing_config : caf::actor_system_config {
  testing_config() {
    set("scheduler.policy", caf::atom("testing"));
    register_messages(*this);
  }
};

/// Given an argument, for CAF looks at the tuple of none through a null pointer.
worker_actor::behavior_type idle_worker(worker_actor::pointer, int) {
  return {[](const session_open&) {},
          [](const session_message&) {},
          [](const session_peer_gone&) {},
          [](const session_close&) {},
          [](const dismissal&) {},
          [](const revocation_list&) {},
          [](const copy_order&) {},
          [](const file_part_request&) {
            return file_part{{}, "nothing here"};
          },
          [](const probe_open&) {},
          [](const probe_pair&) {},
          [](const probe_close&) {}};
}

/// A cluster whose actors run only within `run`, and whose clock goes only where `pass` moves it.
class cluster {
public:
  cluster() {
    coordinator_options options;
    options.cluster = "lab";
    options.dir = options.journal = folder_.path();
    options.profile.enabled = false;
    options.background = &background_;
    options.upload = &upload_;
    options.asker = &asker_;
    options.control = [] { return ""; };
    options.certificate_name = [](const caf::node_id&) { return ""; };
    options.revoked = [] { return ""; };
    options.log = [](const std::string&) {};
    whom_ = system_.spawn(coordinator, std::move(options));
    run();
  }
  ~cluster() {
    for (const auto& [name, worker] : workers_)
      caf::anon_send_exit(worker, caf::exit_reason::kill);
    caf::anon_send_exit(whom_, caf::exit_reason::kill);
    workers_.clear();
    whom_ = nullptr;
    run();
  }

  /// What is to be done now, there and on the only thread beside.
  void run() {
    do {
      jobs_.run();
      std::promise<void> passed;
      barrier_->submit(actors::work_kind::other, [&] { passed.set_value(); });
      passed.get_future().wait();
    } while (jobs_.has_job());
  }
  void pass(std::chrono::milliseconds time) {
    jobs_.clock().advance_time(time);
    run();
  }

  void submit() {
    model::prepare_options prepare;
    for (const auto* name : {"README.md", "ARCHITECTURE.md", "LICENSE"})
      prepare.inputs.emplace_back(std::filesystem::path{SKIPPIPE_SOURCE_DIR} / name);
    prepare.tokenizer = "byte";
    prepare.out = folder_ / "prepared";
    model::prepare_data(prepare);
    submit_request request;
    request.file = "job.toml";
    request.job = job_text;
    request.data = data_files(prepare.out);
    std::filesystem::create_directories(folder_ / "data");
    std::filesystem::rename(prepare.out, folder_ / "data" / request.data.id);
    const auto reply = ask<answer>(request);
    CHECK(reply.error == "");
    run();
  }
  void join(const std::string& name) {
    join_request wanted;
    wanted.cluster = "lab";
    wanted.name = name;
    wanted.incarnation = ++lives_;
    wanted.life = lives_;
    wanted.wire_dtype = "float32";
    wanted.memory_microbatches = 4;
    wanted.worker = workers_[name] = system_.spawn(idle_worker, 0);
    CHECK(ask<join_answer>(wanted).refusal == "");
    run();
  }
  void crash(const std::string& name) {
    caf::anon_send_exit(workers_[name], caf::exit_reason::kill);
    workers_.erase(name);
    run();
  }
  bool waits() {
    command wanted;
    wanted.what = "status";
    const auto reply = nlohmann::json::parse(ask<answer>(wanted).text);
    return reply.at("job").at("phase") == "waiting";
  }

private:
  template <class Reply, class Request>
  Reply ask(const Request& wanted) {
    Reply reply;
    caf::scoped_actor self{system_};
    auto handle = self->request(whom_, caf::infinite, wanted);
    run();
    handle.receive([&](Reply& given) { reply = std::move(given); },
                   [&](const caf::error& why) { FAIL(system_.render(why)); });
    return reply;
  }

  testing::scratch_folder folder_;
  node_config node_;
  upload_limits upload_{node_};
  actors::compute_pool background_{1};
  std::unique_ptr<actors::executor> barrier_ = background_.make_strand();
  testing_config config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& jobs_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  part_asker asker_{system_};
  local_coordinator_actor whom_;
  std::map<std::string, worker_actor> workers_;
  std::uint64_t lives_ = 0;
};

} // namespace

TEST_CASE("a job starts once no node has joined for a second", "[daemon][coordinator][R11]") {
  cluster here;
  here.submit();
  here.pass(60s);
  CHECK(here.waits()); // There is nobody.
  here.join("a");
  here.pass(60s);
  CHECK(here.waits()); // One for two stages.
  here.join("b");
  here.pass(900ms);
  CHECK(here.waits());
  here.join("c");
  here.pass(999ms);
  CHECK(here.waits());
  here.pass(2ms);
  CHECK_FALSE(here.waits());
}

TEST_CASE("a node that joins over and over holds up no job for long",
          "[daemon][coordinator][R11]") {
  cluster here;
  here.submit();
  here.join("a");
  // What passes before there are enough does not count.
  for (int i = 0; i < 30; ++i) {
    here.pass(900ms);
    here.join("a" + std::to_string(i));
    CHECK(here.waits());
    here.crash("a" + std::to_string(i));
    here.pass(1100ms);
  }
  here.join("b");
  for (int i = 1; i <= 11; ++i) {
    here.pass(900ms);
    CHECK(here.waits());
    here.join("restless");
    here.crash("restless");
  }
  here.pass(100ms); // Ten seconds, and the restless one has just been there.
  here.pass(2ms);
  CHECK_FALSE(here.waits());
}
