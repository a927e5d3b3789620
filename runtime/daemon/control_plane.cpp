#include "runtime/daemon/control_plane.hpp"

#include "runtime/daemon/caf_error.hpp"

#include <netdb.h>

#include <cmath>
#include <stdexcept>

namespace skippipe::runtime::daemon {

namespace {

address numeric(const address& given) {
  return {given.host == "localhost" ? "127.0.0.1" : given.host, given.port};
}

bool has_address(const std::string& host) {
  addrinfo* all = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, nullptr, &all) != 0)
    return false;
  ::freeaddrinfo(all);
  return true;
}

} // namespace

control_plane::config::config(const control_options& options) {
  load<caf::io::middleman>();
  register_messages(*this);
  // Work stealing polls; sharing sleeps. Handlers are short.
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", std::size_t{2});
  set("middleman.workers", std::size_t{0});
  // CAF looks at its connections once per interval: what is silent for five of them is given up, at
  // the latest after six. Behind a gate that is the gate's work.
  const std::chrono::duration<double> interval{options.tls ? 0 : options.detect_within_s / 8};
  set("middleman.heartbeat-interval", std::chrono::duration_cast<caf::timespan>(interval));
  set("middleman.connection-timeout", std::chrono::duration_cast<caf::timespan>(5 * interval));
}

control_plane::control_plane(const control_options& options)
    : options_(options), config_(options), system_(config_) {
  if (!options_.tls)
    return;
  gate::gate_options door;
  door.files = options_.files;
  if (options_.listens)
    door.listen = numeric(options_.listen).text();
  if (options_.ports.low != 0)
    door.port_range =
        std::to_string(options_.ports.low) + "-" + std::to_string(options_.ports.high);
  // On a busy machine a heartbeat may be late by two more; one is asked for before a peer is given up.
  door.limits.heartbeat =
      std::chrono::milliseconds{std::llround(1e3 * options_.detect_within_s / 6)};
  door.limits.silence = 4 * door.limits.heartbeat;
  door.log = [log = options_.log](std::string_view line) {
    if (log)
      log(std::string{line});
  };
  secure_ = std::make_unique<gate::secure_middleman>(system_, std::move(door));
}

control_plane::~control_plane() = default;

template <class Handle>
std::uint16_t control_plane::open_door(const Handle& whom) {
  const auto fail = [&](const caf::error& why) -> std::uint16_t {
    throw std::runtime_error("node.listen = '" + options_.listen.text() + "': cannot listen there: "
                             + plain_text(why) + "; choose another address");
  };
  if (secure_) {
    auto port = secure_->publish(whom);
    return port ? *port : fail(port.error());
  }
  const auto first = options_.listen.port != 0 ? options_.listen.port : options_.ports.low;
  const auto last = options_.listen.port != 0 ? options_.listen.port : options_.ports.high;
  caf::error why;
  for (std::uint32_t port = first; port <= last; ++port) {
    auto found = system_.middleman().publish(whom, static_cast<std::uint16_t>(port),
                                             options_.listen.host.c_str(), true);
    if (found)
      return *found;
    why = found.error();
  }
  return fail(why);
}

template <class Handle>
Handle control_plane::reach(const address& where, std::string& problem) {
  auto found = secure_ ? secure_->remote_actor<Handle>(where.host, where.port)
                       : system_.middleman().remote_actor<Handle>(where.host, where.port);
  if (found)
    return *found;
  problem =
      where.text() + ": no node of a cluster answers: "
      + (has_address(where.host) ? plain_text(found.error()) : "no machine is known by that name");
  return {};
}

coordinator_actor control_plane::connect(const address& where, std::string& problem,
                                         bool& refused) {
  auto next = where;
  refused = false;
  // A worker knows its scheduler; more steps than two mean that they point at each other.
  for (int step = 0; step < 3; ++step) {
    const auto entry = reach<entry_actor>(next, problem);
    if (!entry)
      return {};
    answer reply;
    {
      caf::scoped_actor self{system_};
      self->request(entry, std::chrono::seconds{5}, seed_request{})
          .receive([&](const answer& given) { reply = given; },
                   [&](const caf::error& why) { reply.error = plain_text(why); });
    }
    if (!reply.error.empty()) {
      refused = reply.text == refused_entry;
      problem = (refused ? "refused by the scheduler: " : next.text() + ": ") + reply.error;
      return {};
    }
    if (reply.text.empty())
      return reach<coordinator_actor>(next, problem);
    const auto further = parse_address(reply.text);
    if (!further)
      break;
    next = *further;
  }
  problem = where.text() + ": does not know where its scheduler is";
  return {};
}

std::string control_plane::name_of(const caf::node_id& node) const {
  return secure_ && node != system_.node() ? secure_->name_of(node) : std::string{};
}

template std::uint16_t control_plane::open_door(const entry_actor&);
template std::uint16_t control_plane::open_door(const coordinator_actor&);

} // namespace skippipe::runtime::daemon
