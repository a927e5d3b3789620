// A process's actor system and its one way to others: CAF behind the gate, or plain on loopback.
#pragma once

#include "runtime/config/node_config.hpp"
#include "runtime/daemon/messages.hpp"
#include "runtime/gate/middleman.hpp"

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

/// How a daemon or a client takes part.
struct control_options {
  address listen{"127.0.0.1", 0};
  port_range ports;
  bool listens = true;
  bool tls = false;
  transport::tls::credential_files files; ///< With tls.
  double detect_within_s = 4;             ///< A dead or cut-off peer is noticed within this time.
  std::function<void(const std::string&)> log; ///< One line; any thread.
};

class control_plane {
public:
  /// Throws std::runtime_error with one line.
  explicit control_plane(const control_options& options);
  ~control_plane();

  caf::actor_system& system() { return system_; }

  /// Makes `whom` what peers find here; returns the port. Once.
  std::uint16_t publish(const entry_actor& whom) { return open_door(whom); }
  std::uint16_t publish(const coordinator_actor& whom) { return open_door(whom); }

  /// The coordinator of the cluster that `where` belongs to, or null with the reason in `problem`; `refused`: by
  /// it, so that nobody need try again. Blocks.
  coordinator_actor connect(const address& where, std::string& problem, bool& refused);

  /// What the certificate of `node` says; nothing in insecure mode and of this process.
  std::string name_of(const caf::node_id& node) const;

private:
  template <class Handle>
  std::uint16_t open_door(const Handle& whom);
  template <class Handle>
  Handle reach(const address& where, std::string& problem);
  struct config : caf::actor_system_config {
    explicit config(const control_options& options);
  };
  control_options options_;
  config config_;
  caf::actor_system system_;
  std::unique_ptr<gate::secure_middleman> secure_; ///< Ends before its system.
};

} // namespace skippipe::runtime::daemon
