// The gate's thread. core.cpp: its life; entry.cpp: from a socket to an open tunnel; passage.cpp:
// moving bytes.
#pragma once

#include "runtime/gate/gate.hpp"
#include "runtime/gate/refusal_log.hpp"
#include "runtime/gate/tunnel.hpp"
#include "runtime/gate/waiting_room.hpp"

#include "transport/tls/credentials.hpp"
#include "transport/tls/sockets.hpp"

#include <deque>
#include <map>
#include <set>

namespace skippipe::runtime::gate {

class gate::core {
public:
  using clock = transport::progress_thread::clock;

  explicit core(gate_options options);
  std::string start();
  void stop();
  void receive_with(std::function<bool(plain_connection)> receive);
  void dial(const std::string& host_port, std::function<void(plain_connection, std::string)> done);
  std::uint16_t port() const { return port_; }
  const gate_counts& counts() const { return counts_; }

private:
  // core.cpp
  bool poll();
  void housekeeping();
  void beat();
  void reassure(tunnel& t);
  void hear(tunnel& t);
  void await(tunnel& t, std::chrono::milliseconds patience);
  void suspect(tunnel& t);
  void forget_revoked();
  void shut_down();

  // entry.cpp
  void on_listener();
  void enter(transport::unique_fd fd, const transport::tls::socket_address& from);
  void start_dialing(const std::string& host_port,
                     std::function<void(plain_connection, std::string)> done);
  tunnel& add(transport::unique_fd fd, const transport::tls::socket_address& other);
  void advance(tunnel& t);
  bool advance_tcp(tunnel& t);
  void advance_tls(tunnel& t);
  void confirm(tunnel& t);
  void open(tunnel& t);
  void hand_over(tunnel& t, plain_connection connection);
  void refuse(tunnel& t, std::string_view why);

  // passage.cpp
  void on_wire(std::uint64_t id, std::uint32_t events);
  void on_plain(std::uint64_t id, std::uint32_t events);
  void serve(tunnel& t);
  void tell_clock(tunnel& t);
  void answer_probe(tunnel& t);
  void watch_ends(tunnel& t);
  void linger(tunnel& t);
  void end(tunnel& t);

  const gate_options options_;
  transport::tls_options sockets_; ///< What the sockets are made from.
  transport::tls::credentials credentials_;
  transport::unique_fd listener_;
  std::uint16_t port_ = 0;
  gate_counts counts_;
  refusal_log refusals_;
  waiting_room strangers_;
  std::function<bool(plain_connection)> receive_;
  std::deque<plain_connection> unreceived_;
  std::map<std::uint64_t, std::unique_ptr<tunnel>> tunnels_;
  std::map<std::string, std::size_t> open_by_name_;
  std::set<std::uint64_t> runnable_;          ///< With work that epoll does not know of.
  std::vector<std::unique_ptr<tunnel>> dead_; ///< Until nothing on the stack uses them.
  std::uint64_t last_id_ = 0;
  bool stopped_ = false;
  bool beats_ = false; ///< A heartbeat is due.
  clock::time_point housekept_{};
  transport::progress_thread::timer_id housekeeping_timer_{};
  transport::progress_thread thread_; ///< Last: ends first.
};

} // namespace skippipe::runtime::gate
