#include "actors/compute_pool.hpp"

#include <utility>

namespace skippipe::actors {

class compute_pool::strand final : public executor {
public:
  explicit strand(compute_pool& pool) : pool_(pool), queue_(std::make_shared<queue>()) {}
  void submit(work_kind, std::function<void()> work) override {
    pool_.submit(queue_, std::move(work));
  }

private:
  compute_pool& pool_;
  std::shared_ptr<queue> queue_;
};

compute_pool::compute_pool(unsigned workers, std::function<void()> on_start) {
  workers_.reserve(workers);
  for (unsigned i = 0; i < workers; ++i)
    workers_.emplace_back([this, on_start] {
      if (on_start)
        on_start();
      run();
    });
}

compute_pool::~compute_pool() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

std::unique_ptr<executor> compute_pool::make_strand() { return std::make_unique<strand>(*this); }

void compute_pool::submit(const std::shared_ptr<queue>& target, std::function<void()> work) {
  {
    std::lock_guard guard{mutex_};
    target->tasks.push_back(std::move(work));
    if (target->scheduled)
      return;
    target->scheduled = true;
    ready_.push_back(target);
  }
  wake_.notify_one();
}

void compute_pool::run() {
  std::unique_lock guard{mutex_};
  while (true) {
    wake_.wait(guard, [this] { return stopping_ || !ready_.empty(); });
    if (ready_.empty())
      return;
    auto current = std::move(ready_.front());
    ready_.pop_front();
    auto work = std::move(current->tasks.front());
    current->tasks.pop_front();
    guard.unlock();
    work();
    work = nullptr; // Frees what the task held before anyone else runs.
    guard.lock();
    if (current->tasks.empty())
      current->scheduled = false;
    else
      ready_.push_back(std::move(current));
  }
}

} // namespace skippipe::actors
