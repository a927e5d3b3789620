// One connection through the gate: TLS on the network's side, a plain socket on CAF's.
#pragma once

#include "runtime/gate/flow.hpp"
#include "runtime/gate/message_filter.hpp"

#include "transport/progress.hpp"
#include "transport/tls/ssl.hpp"

#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>

namespace skippipe::runtime::gate {

/// What a connection is for, agreed on in the handshake (ALPN).
enum class purpose { control, probe };

struct tunnel {
  enum class phase { connecting, handshaking, confirming, open, closing };
  enum class progress { moved, waiting, ended };

  explicit tunnel(std::uint32_t max_message)
      : heard(max_message), said(std::numeric_limits<std::uint32_t>::max()) {}

  std::uint64_t id = 0;
  phase at = phase::connecting;
  bool accepted = false;
  purpose use = purpose::control;
  std::string remote; ///< "HOST:PORT".
  std::string source; ///< What counts as one source of strangers.
  std::string name;   ///< The certificate's, once open.
  transport::unique_fd wire, plain;
  transport::tls::unique_ssl ssl;
  transport::progress_thread::timer_id timer{};
  std::function<void(transport::unique_fd, const std::string& name, const std::string& problem)>
      dialed; ///< Who waits for this connection.

  flow in, out;                                             ///< To CAF, to the network.
  message_filter heard, said;                               ///< Of the peer, of CAF.
  bool is_heard = false;                                    ///< Since this was last made false.
  bool suspected = false;                                   ///< Silent, and asked once more.
  std::uint64_t heartbeats = 0;                             ///< Heard.
  transport::progress_thread::clock::time_point spoke_at{}; ///< To the peer, last.
  transport::progress_thread::clock::time_point heard_at{}; ///< Of the peer, last.
  transport::progress_thread::clock::time_point due{};      ///< When it has to be heard again.
  transport::progress_thread::clock::time_point read_at{};  ///< When CAF was last seen to read.
  bool wire_ended = false, plain_ended = false;
  bool plain_hung_up = false; ///< CAF has closed its end; bytes may be left in it.
  bool wire_wants_out = false, plain_wants_out = false; ///< Blocked on writing.
  std::uint32_t wire_events = 0, plain_events = 0;      ///< What epoll is asked for.
  std::string problem;                                  ///< Why it ended, if not by a plain end.

  /// One step of the TLS handshake.
  progress handshake();
  /// `moved` when the other side has said something inside TLS; it stays to be read.
  progress peek();
  /// Moves what can be moved, for a bounded time; `moved` when there may be more.
  progress pump();
  /// Takes what has come, if that is heartbeats and nothing else; false when there is more to do.
  bool hear_heartbeats();
  /// Tells the peer that we live, unless more than that is on its way to it anyway.
  void say_heartbeat();
  /// Whether CAF has taken something, or all there is, since it was last asked; noted in `read_at`.
  bool caf_reads();
  /// Between two nodes that talk.
  bool is_open_control() const { return at == phase::open && use == purpose::control; }
  /// Both sides have all they will get.
  bool finished() const {
    return (wire_ended && in.empty()) || (plain_ended && out.empty()) || !problem.empty();
  }

private:
  progress outcome(int result);
  bool read_wire();
  /// Bytes that OpenSSL took, 0 when not now; nothing when the peer is gone.
  std::optional<std::size_t> send(std::span<const std::byte> bytes);
  bool write_wire();
  bool read_plain();
  bool write_plain();

  int unread_ = 0; ///< What CAF's socket held when last looked at, as the kernel counts.
};

} // namespace skippipe::runtime::gate
