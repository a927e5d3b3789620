// A daemon's one endpoint for tensors, shared by the sessions that run on it one after the other.
//
// A peer is known by its `life`: 32 bits of its name's hash, 32 random bits of this start. So a node that
// comes back is another peer, and whoever shows a certificate can only be the node that it names. Every
// header begins with the session it belongs to, so that what an older session sent is refused, and with the
// time when it was sent, which says what the links are like.
#pragma once

#include "actors/protocol/messages.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/daemon/data_endpoint.hpp"
#include "runtime/daemon/messages.hpp"
#include "runtime/daemon/upload_limits.hpp"
#include "transport/transport.hpp"

#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

using life_id = transport::peer_id;

/// A fresh one for a start of the node `name`.
life_id make_life(const std::string& name);
/// Whether the holder of the certificate of `name` may be `life`.
bool may_be(life_id life, const std::string& name);

class data_plane {
public:
  /// Listens as `node` says; where that names a relay, `reach_through` begins. Throws
  /// std::runtime_error with one line. Lines for the log go to `log`.
  data_plane(const node_config& node, life_id life, const upload_limits& upload,
             std::function<void(const std::string&)> log);
  ~data_plane();
  data_plane(const data_plane&) = delete;
  data_plane& operator=(const data_plane&) = delete;

  /// Others come through the relay at HOST:PORT (numeric) from now on: "" or why not. Of a node that
  /// names a relay, while no session is open.
  std::string reach_through(const std::string& relay);

  life_id life() const;
  const transport::address& address() const; ///< For peers.
  const std::string& where() const;          ///< HOST:PORT or "relay HOST:PORT", for people.

  /// This session's part, where peers are the session's node numbers. Its addresses come from
  /// `peer_address`. Close it before this.
  std::unique_ptr<transport::endpoint> open_session(session_no session);

  /// What has arrived in this session since the last call says of its links; nothing where they are emulated.
  std::vector<actors::link_sample> take_samples(session_no session);

  /// Emulation: nominal bytes per real byte of gradients, once their size is known.
  void scale_gradients(double factor);

  /// What a session's `connect` takes.
  static transport::address peer_address(const session_peer& peer);

private:
  class port;
  class core;
  void listen();
  std::error_code begin(const data_place& place);

  std::unique_ptr<core> core_;
  const node_config& node_; ///< The daemon's; outlives this.
  const std::shared_ptr<transport::token_bucket> upload_;
  const std::shared_ptr<transport::timer> time_;
  const std::function<void(const std::string&)> log_;
};

} // namespace skippipe::runtime::daemon
