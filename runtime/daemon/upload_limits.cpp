#include "runtime/daemon/upload_limits.hpp"

#include "runtime/daemon/files.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace skippipe::runtime::daemon {

namespace {

constexpr double bytes_per_mbit = 1e6 / 8;
constexpr double least_part_bytes = 4096;
/// Of the files' rate: many may wait for a part each, and none longer than a request may take.
constexpr double part_s = 0.25;

} // namespace

upload_limits::upload_limits(const node_config& node, std::shared_ptr<transport::timer> time)
    : time_(std::move(time)), all_(std::make_shared<transport::token_bucket>()) {
  set(node);
}

void upload_limits::set(const node_config& node) {
  const auto rate = bytes_per_mbit * node.max_upload_mbps;
  all_->set_rate(rate, time_->now());
  files_.set_rate(rate * node.transfer_share, time_->now());
}

std::size_t upload_limits::part_bytes() const {
  const auto rate = files_.rate();
  return rate <= 0 ? daemon::part_bytes
                   : static_cast<std::size_t>(std::clamp(rate * part_s, least_part_bytes,
                                                         static_cast<double>(daemon::part_bytes)));
}

void upload_limits::pace(std::size_t bytes) {
  // Not the data plane's debt, which may be large: it waits for us instead.
  for (auto wait = files_.wait(time_->now()); wait.count() > 0; wait = files_.wait(time_->now()))
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(wait, std::chrono::seconds{1}));
  files_.take(static_cast<double>(bytes), time_->now());
  all_->take(static_cast<double>(bytes), time_->now());
}

} // namespace skippipe::runtime::daemon
