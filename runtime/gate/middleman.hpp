// CAF's control plane through the gate: what a daemon publishes and connects when security.mode is
// "tls". CAF itself has no port and never sees a peer that has not been authenticated.
#pragma once

#include "runtime/gate/gate.hpp"

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/io/middleman_actor.hpp>

#include <memory>
#include <set>
#include <string>

namespace skippipe::runtime::gate {

/// Publishes one actor and connects to others over mutual TLS. Needs caf::io::middleman, loaded and with
/// the default network backend. Destroy it before its actor system, and after the actors that use it.
class secure_middleman {
public:
  /// Throws std::runtime_error with one line when the certificates or the address cannot be used.
  /// Validate nothing of this inside CAF: a system without TLS connects without a word.
  secure_middleman(caf::actor_system& system, gate_options options);
  ~secure_middleman();
  secure_middleman(const secure_middleman&) = delete;
  secure_middleman& operator=(const secure_middleman&) = delete;

  /// Makes `whom` what peers find at the gate; returns the port. Once.
  template <class Handle>
  caf::expected<std::uint16_t> publish(const Handle& whom) {
    return publish(caf::actor_cast<caf::strong_actor_ptr>(whom), system_.message_types(whom));
  }

  /// The actor that the node at `host`:`port` has published; waits for the connection, at most
  /// `gate_limits::handshake` for each address of the host. An error's context says why in words.
  template <class Handle = caf::actor>
  caf::expected<Handle> remote_actor(const std::string& host, std::uint16_t port) {
    caf::detail::type_list<Handle> wanted;
    auto found = remote_actor(system_.message_types(wanted), host, port);
    if (!found)
      return std::move(found.error());
    return caf::actor_cast<Handle>(std::move(*found));
  }

  /// For requests of actors: `(connect_atom, host, port)` and the others of CAF's interface.
  const caf::io::middleman_actor& actor_handle() const { return actor_; }

  /// The certificate's name of the directly connected `node`, "" when there is none: what a peer calls
  /// itself in messages must be checked against it. Waits for an answer of CAF's broker.
  std::string name_of(const caf::node_id& node) const;

  std::uint16_t port() const { return gate_->port(); }
  const gate_counts& counts() const { return gate_->counts(); }

private:
  caf::expected<std::uint16_t> publish(caf::strong_actor_ptr whom, std::set<std::string> types);
  caf::expected<caf::strong_actor_ptr> remote_actor(std::set<std::string> types,
                                                    const std::string& host, std::uint16_t port);

  caf::actor_system& system_;
  std::shared_ptr<gate> gate_;
  caf::io::middleman_actor actor_;
};

} // namespace skippipe::runtime::gate
