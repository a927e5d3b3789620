// What a daemon may send: limits.max_upload_mbps and the share of it that files may take.
#pragma once

#include "runtime/config/node_config.hpp"
#include "transport/timer.hpp"
#include "transport/token_bucket.hpp"

#include <cstddef>
#include <memory>

namespace skippipe::runtime::daemon {

/// Thread-safe.
class upload_limits {
public:
  explicit upload_limits(const node_config& node,
                         std::shared_ptr<transport::timer> time = transport::make_real_timer());

  void set(const node_config& node);

  /// Of all that the data plane sends; files draw from it, too.
  const std::shared_ptr<transport::token_bucket>& all() const { return all_; }
  const std::shared_ptr<transport::timer>& time() const { return time_; }

  /// Bytes of a file to send at once, so that no part takes long.
  std::size_t part_bytes() const;
  /// Blocks until the share of files allows for more, then counts `bytes`.
  void pace(std::size_t bytes);

private:
  const std::shared_ptr<transport::timer> time_;
  const std::shared_ptr<transport::token_bucket> all_;
  transport::token_bucket files_;
};

} // namespace skippipe::runtime::daemon
