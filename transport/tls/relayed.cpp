// Connections by way of a relay: to nodes that only dial out, and being such a node.
#include "transport/tls/engine.hpp"

namespace skippipe::transport::tls {
namespace {

constexpr std::chrono::seconds enlist_again{1};

std::vector<std::byte> claim(const relay_message& offer) {
  return encode(relay_message{relay_verb::claim, 0, offer.node, offer.ticket});
}

} // namespace

/// Keeps a line to our relay, which tells over it who wants to reach us.
void engine::enlist() {
  const auto relay = parse_address(options_.relay);
  relay_link::reports to;
  to.heard = [this, at = *relay](const relay_message& m) {
    if (m.verb == relay_verb::offer)
      accept_one(open_connection(options_, at), "relay " + at.text(), claim(m));
  };
  to.ended = [this](std::string_view why) {
    if (options_.log)
      options_.log("relay " + options_.relay + ": " + std::string(why));
    dead_links_.push_back(std::move(home_));
    thread().at(progress_thread::clock::now() + enlist_again, [this] {
      if (!closing())
        enlist();
    });
  };
  home_ = std::make_unique<relay_link>(thread(), options_, credentials_.context(), *relay,
                                       relay_message{relay_verb::enlist, 0, options_.self, {}}, to);
}

/// Asks the relay for one connection per stream of `c`, and dials those.
void engine::connect_through(channel& c, const relay_address& where) {
  relay_link::reports to;
  to.heard = [this, &c, at = where.relay, next = 0u](const relay_message& m) mutable {
    if (m.verb != relay_verb::offer)
      return drop_peer(c.peer, errc::malformed);
    const unsigned index = next++;
    if (next == c.streams.size()) {
      c.link->stop();
      dead_links_.push_back(std::move(c.link));
    }
    dial(c, index, at, claim(m));
  };
  to.ended = [this, &c](std::string_view why) {
    if (options_.log)
      options_.log("no way to node " + std::to_string(c.peer) + ": " + std::string(why));
    drop_peer(c.peer, errc::unreachable);
  };
  const auto count = static_cast<std::uint16_t>(c.streams.size());
  c.link = std::make_unique<relay_link>(thread(), options_, credentials_.context(), where.relay,
                                        relay_message{relay_verb::want, count, where.node, {}}, to);
}

} // namespace skippipe::transport::tls
