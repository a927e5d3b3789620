// What the engine keeps per peer and per operation. Touched by the progress thread only.
#pragma once

#include "transport/threaded_endpoint.hpp"
#include "transport/ucx/handles.hpp"
#include "transport/ucx/wire.hpp"

#include <deque>
#include <list>
#include <map>
#include <set>

namespace skippipe::transport::ucx {

/// The one active message id in use; `prefix::kind` tells packets apart.
inline constexpr unsigned message_am_id = 0;

/// A message that has begun to arrive, or that waits for its turn.
struct arrival {
  bool has_header = false; ///< `header` is complete.
  bool has_packet = false; ///< The `message` packet came.
  bool settled = false;    ///< The payload is complete, or the message was refused.
  bool refused = false;
  std::vector<std::byte> header;
  buffer payload; ///< Destination; or, until the header is here, eager data.
  prefix head;
  void* held = nullptr; ///< Rendezvous descriptor waiting for the header.
  std::size_t held_size = 0;
};

/// One life of a peer, as far as this endpoint knows it.
struct connection {
  peer_id id = 0;
  session_id session = 0;
  std::uint64_t serial = 0;    ///< Tells this connection from an earlier one to the same peer.
  std::uint32_t epoch_out = 0; ///< Ours, in what we send.
  std::uint32_t epoch_in = 0;  ///< The peer's; 0 until its first packet.
  ucp_ep_h ep = nullptr;       ///< Null while only the peer has connected.
  bool failed = false;         ///< UCX reported an error; nothing can be sent any more.
  bool left = false;           ///< The peer said goodbye.
  std::size_t receiving = 0;   ///< Rendezvous receives that UCX has begun.
  bool established = false;
  completion connected;

  std::uint64_t next_sequence = 0;
  std::deque<outgoing> waiting;       ///< Not handed to UCX yet.
  std::set<std::uint64_t> unfinished; ///< Sequences that UCX is sending.

  std::uint64_t expected = 0; ///< The next sequence to deliver.
  std::map<std::uint64_t, arrival> arrivals;
};

class engine;

/// A UCX request in flight and the memory it uses; lives until UCX's callback.
struct operation {
  enum class kind { connect, header, message, receive };
  engine* owner = nullptr;
  kind what = kind::message;
  peer_id peer = 0;
  std::uint64_t serial = 0; ///< Of the connection.
  std::uint64_t sequence = 0;
  request_id request = 0;
  std::vector<std::byte> header;
  std::vector<std::byte> header_data; ///< A header that travels apart.
  buffer payload;
  std::list<operation>::iterator self;
};

/// A connection on its way out: goodbye, wait until it is quiet, forced close.
struct departure {
  connection gone;
  bool begun = false;
  bool closing = false;
  void* flush = nullptr;
  void* close = nullptr;
};

} // namespace skippipe::transport::ucx
