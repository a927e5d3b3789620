// Asks other daemons for parts of files, from threads that are no actor's.
#pragma once

#include "runtime/daemon/files.hpp"

#include <memory>

namespace skippipe::runtime::daemon {

/// Lent to all who fetch files; outlives them. A question ends with an answer, with the connection
/// (which CAF does not tell those who wait for an answer), after a minute, or with `stop`: a daemon
/// that ends must not wait for a checkpoint on its way.
class part_asker {
public:
  explicit part_asker(caf::actor_system& system);

  /// For one thread at a time; blocks.
  part_fetcher from(file_source source) const;

  /// Ends what is asked now and all that will be asked. Any thread.
  void stop();

private:
  struct shared;
  caf::actor_system& system_;
  std::shared_ptr<shared> shared_;
};

} // namespace skippipe::runtime::daemon
