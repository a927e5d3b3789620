// The ucx backend. engine.cpp: connections; send.cpp and receive.cpp: messages.
#pragma once

#include "transport/ucx/connection.hpp"
#include "transport/ucx/runtime.hpp"

namespace skippipe::transport::ucx {

/// Owns every UCX object of one endpoint; only its progress thread touches them after `listen`.
class engine final : public threaded_endpoint {
public:
  explicit engine(ucx_options options);
  ~engine() override;

  std::error_code listen(handler& h) override;
  address local_address() const override { return address_; }

private:
  void do_connect(peer_id peer, const address& where, completion done) override;
  void do_disconnect(peer_id peer) override;
  void do_send(outgoing message) override;
  void do_abandon(request_id id, peer_id to) override;
  void do_shutdown() override;

  // engine.cpp
  bool poll();
  connection* find(peer_id peer, std::uint64_t serial);
  connection* find(const operation& op) { return find(op.peer, op.serial); }
  connection& new_connection(peer_id peer, session_id session);
  connection* find_or_admit(const prefix& p);
  std::error_code open_endpoint(connection& c, const std::vector<std::byte>& worker_address);
  void retire(peer_id peer);
  void lose_connection(peer_id peer, std::error_code reason);
  bool reap_failed();
  bool reap_departures();
  bool depart(departure& d);
  bool quiet(departure& d);
  void force_close(departure& d);
  void dismantle();
  static void on_endpoint_error(void* self, ucp_ep_h ep, ucs_status_t status);
  static void on_connected(void* request, ucs_status_t status, void* op);

  // send.cpp
  void pump(peer_id peer, std::uint64_t serial);
  void hand_over(connection& c, outgoing message);
  void submit(connection& c, operation& op);
  void finish_send(operation& op, ucs_status_t status);
  void say_goodbye(connection& c);
  operation& new_operation(operation::kind what, const connection& c);
  static void on_sent(void* request, ucs_status_t status, void* op);

  // receive.cpp
  ucs_status_t on_packet(std::span<const std::byte> header, void* data, std::size_t size,
                         bool rendezvous);
  ucs_status_t on_message_packet(connection& c, const prefix& p, std::span<const std::byte> header,
                                 void* data, std::size_t size, bool rendezvous);
  void on_header_packet(connection& c, const prefix& p, std::span<const std::byte> data);
  ucs_status_t take(connection& c, arrival& a, const prefix& p, std::span<const std::byte> header,
                    void* data, std::size_t size, bool rendezvous);
  void finish_receive(operation& op, ucs_status_t status);
  bool intact(const prefix& p, const buffer& payload) const;
  void deliver(peer_id peer, std::uint64_t serial);
  static ucs_status_t on_am(void* self, const void* header, std::size_t header_size, void* data,
                            std::size_t size, const ucp_am_recv_param_t* param);
  static void on_received(void* request, ucs_status_t status, std::size_t size, void* op);

  const ucx_options options_;
  session_id session_ = 0;
  address address_;
  std::map<peer_id, connection> connections_;
  std::map<session_id, std::uint32_t> dead_; ///< Packets up to this epoch are dropped.
  std::map<peer_id, std::uint32_t> epochs_;  ///< Connections made to each peer.
  std::uint64_t last_serial_ = 0;
  std::list<departure> departures_;
  std::vector<std::pair<ucp_ep_h, std::error_code>> failed_; ///< Reported by UCX, to be handled.
  std::list<operation> operations_; ///< After UCX is gone nothing refers to them.
  bool leaving_ = false;
  progress_thread::clock::time_point last_work_;
  runtime ucx_; ///< Last: destroyed first.
};

} // namespace skippipe::transport::ucx
