// A node's line to a relay.
#pragma once

#include "transport/tls/control_line.hpp"

#include <functional>

namespace skippipe::transport::tls {

/// Dials the relay and says one thing; reports each answer, or once that the line has ended or came to
/// nothing in time. Belongs to the progress thread. Not to be destroyed within a report.
class relay_link {
public:
  struct reports {
    std::function<void(const relay_message&)> heard;
    std::function<void(std::string_view why)> ended;
  };
  relay_link(progress_thread& thread, const tls_options& options, SSL_CTX* context,
             const socket_address& relay, const relay_message& first, reports to);
  ~relay_link();
  relay_link(const relay_link&) = delete;
  relay_link& operator=(const relay_link&) = delete;

  /// No report follows.
  void stop();

private:
  void advance();
  void end(std::string_view why);

  progress_thread& thread_;
  const tls_options& options_;
  unique_ssl_context context_; ///< Shared: the files may be renewed meanwhile.
  reports to_;
  control_line line_;
  progress_thread::timer_id timer_;
  bool tuned_ = false, answered_ = false, stopped_ = false;
};

} // namespace skippipe::transport::tls
