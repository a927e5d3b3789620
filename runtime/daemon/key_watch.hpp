// A daemon's keys while it runs: newer revocation lists are taken over, ends of certificates told in time.
#pragma once

#include "runtime/config/node_config.hpp"
#include "runtime/security/revocation_keeper.hpp"

#include <functional>
#include <string>

namespace skippipe::runtime::daemon {

class key_watch {
public:
  /// Of a node with tls, whose state folder is made. Lines for the log go to `log`.
  key_watch(const node_config& node, std::function<void(const std::string&)> log);

  /// The file of revocations for TLS to read.
  const std::filesystem::path& revoked_file() const { return list_.file(); }
  std::string revoked() const { return list_.pem(); } ///< Any thread; "" for none.

  /// A peer's list: true when it was newer and is in use now. Throws security::key_error for a bad one.
  /// Any thread.
  bool take(const std::string& pem);

  /// To be called every few seconds: true when the operator has brought a newer list.
  bool look();

private:
  void warn_of_expiry();

  const std::filesystem::path ca_, certificate_;
  const std::function<void(const std::string&)> log_;
  security::revocation_keeper list_;
  security::wall_clock::time_point warn_again_; ///< A starting daemon has warned already.
};

} // namespace skippipe::runtime::daemon
