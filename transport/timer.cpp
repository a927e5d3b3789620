#include "transport/timer.hpp"

#include "transport/progress.hpp"

#include <stdexcept>

namespace skippipe::transport {
namespace {

using std::chrono::nanoseconds;

class real_timer final : public timer {
public:
  explicit real_timer(double scale) : scale_(scale), start_(progress_thread::clock::now()) {
    if (const auto problem = thread_.start({}))
      throw std::system_error(problem, "timer thread");
  }

  nanoseconds now() override {
    const std::chrono::duration<double, std::nano> real = progress_thread::clock::now() - start_;
    return nanoseconds(static_cast<std::int64_t>(real.count() / scale_));
  }

  void at(nanoseconds when, std::function<void()> task) override {
    const auto real =
        start_ + nanoseconds(static_cast<std::int64_t>(static_cast<double>(when.count()) * scale_));
    thread_.post(
        [this, real, run = std::move(task)]() mutable { thread_.at(real, std::move(run)); });
  }

private:
  const double scale_;
  const progress_thread::clock::time_point start_;
  progress_thread thread_;
};

} // namespace

std::shared_ptr<timer> make_real_timer(double scale) {
  if (!(scale > 0))
    throw std::invalid_argument("the scale of a timer must be above 0");
  return std::make_shared<real_timer>(scale);
}

} // namespace skippipe::transport
