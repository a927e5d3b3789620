#include "runtime/daemon/part_asker.hpp"

#include <condition_variable>
#include <optional>

namespace skippipe::runtime::daemon {

struct part_asker::shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
};

part_asker::part_asker(caf::actor_system& system)
    : system_(system), shared_(std::make_shared<shared>()) {}

part_fetcher part_asker::from(file_source source) const {
  return [&system = system_, shared = shared_,
          source = std::move(source)](const file_part_request& wanted) {
    const auto answer = std::make_shared<std::optional<file_part>>();
    const auto settle = [shared, answer](file_part part) {
      const std::lock_guard guard{shared->mutex};
      *answer = std::move(part);
      shared->changed.notify_all();
    };
    const auto asker = system.spawn(
        [source, settle](caf::event_based_actor* self, const file_part_request& question) {
          self->monitor(source);
          self->set_down_handler([=](const caf::down_msg&) {
            settle({{}, "the connection is gone"});
            self->quit();
          });
          self->request(source, std::chrono::seconds{60}, question)
              .then(
                  [=](file_part& part) {
                    settle(std::move(part));
                    self->quit();
                  },
                  [=](const caf::error& why) {
                    settle({{}, plain_text(why)});
                    self->quit();
                  });
        },
        wanted);
    std::unique_lock guard{shared->mutex};
    shared->changed.wait(guard, [&] { return answer->has_value() || shared->stopped; });
    if (answer->has_value())
      return std::move(**answer);
    guard.unlock();
    caf::anon_send_exit(asker, caf::exit_reason::user_shutdown);
    return file_part{{}, "this daemon is ending"};
  };
}

void part_asker::stop() {
  const std::lock_guard guard{shared_->mutex};
  shared_->stopped = true;
  shared_->changed.notify_all();
}

} // namespace skippipe::runtime::daemon
