// Members that do nothing, many in one process: each with an actor system and a connection of its own, joined
// and kept by the code that daemons use. For bench/scheduler_members.py.
//
// usage: bench_members HOST:PORT FIRST COUNT DETECT_WITHIN_S [KEYS_DIR]
//
// Prints "joined COUNT" when all are in, leaves when its input ends. With KEYS_DIR over mutual TLS, the keys
// of member N in KEYS_DIR/member-N.
#include "runtime/daemon/clock_offset.hpp"
#include "runtime/daemon/control_plane.hpp"
#include "runtime/daemon/membership.hpp"
#include "runtime/gate/open_files.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace skippipe::runtime;
using namespace skippipe::runtime::daemon;

namespace {

local_worker_actor::behavior_type idle_worker(local_worker_actor::pointer) {
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
          [](const probe_close&) {},
          [](const new_coordinator&) {},
          [](const errand&) {},
          [](caf::update_atom) {}};
}

struct member {
  std::unique_ptr<control_plane> plane;
  clock_offset clock;
  bool was_in = false;
  local_worker_actor worker;
  std::unique_ptr<membership> joined;

  ~member() {
    joined.reset();
    if (worker)
      caf::anon_send_exit(worker, caf::exit_reason::kill);
    worker = nullptr;
  }
};

void complain(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

} // namespace

int main(int argc, char** argv) {
  const auto scheduler = argc > 4 ? parse_address(argv[1]) : std::nullopt;
  if (!scheduler) {
    std::fprintf(stderr, "usage: bench_members HOST:PORT FIRST COUNT DETECT_WITHIN_S [KEYS_DIR]\n");
    return 2;
  }
  gate::raise_open_files();
  const int first = std::atoi(argv[2]), count = std::atoi(argv[3]);
  std::atomic<int> in{0};
  std::vector<std::unique_ptr<member>> members;
  for (int i = first; i < first + count; ++i) {
    auto& one = *members.emplace_back(std::make_unique<member>());
    control_options control;
    control.listens = false;
    control.detect_within_s = std::atof(argv[4]);
    control.log = complain;
    const auto name = "member-" + std::to_string(i);
    if (argc > 5) {
      const auto keys = std::filesystem::path{argv[5]} / name;
      control.tls = true;
      control.files.ca = keys / "ca.pem";
      control.files.certificate = keys / "certificate.pem";
      control.files.key = keys / "key.pem";
    }
    one.plane = std::make_unique<control_plane>(control);
    one.worker = one.plane->system().spawn(idle_worker);
    membership_options join;
    join.plane = one.plane.get();
    join.seeds = {*scheduler};
    join.worker = one.worker;
    join.incarnation = [n = std::uint64_t{0}]() mutable { return ++n; };
    join.clock = &one.clock;
    join.detect_within_s = control.detect_within_s;
    join.log = complain;
    join.on_joined = [&in, &one, count](const std::string&) {
      if (!std::exchange(one.was_in, true) && ++in == count) {
        std::printf("joined %d\n", count);
        std::fflush(stdout);
      }
    };
    join.on_refused = complain;
    join.introduction.cluster = "default";
    join.introduction.name = name;
    join.introduction.life = static_cast<std::uint64_t>(i) + 1;
    join.introduction.backend = "ucx";
    join.introduction.wire_dtype = "float32";
    join.introduction.worker = one.worker;
    one.joined = std::make_unique<membership>(std::move(join));
  }
  while (std::getchar() != EOF) {
  }
  std::_Exit(0); // As nodes that lose power do.
}
