// What every backend with a progress thread shares: the book of pending transfers with their
// deadlines, and the hand-over from the callers' threads.
#pragma once

#include "transport/progress.hpp"
#include "transport/transport.hpp"

#include <map>
#include <mutex>

namespace skippipe::transport {

/// A message on its way out.
struct outgoing {
  request_id id = 0;
  peer_id to = 0;
  std::vector<std::byte> header;
  buffer payload;
};

/// Turns calls from any thread into calls of the `do_` functions on the progress thread. A backend
/// reports outcomes by `settle` and `lose`; it must call `close` in its destructor.
class threaded_endpoint : public endpoint {
public:
  void connect(peer_id peer, const address& where, completion done) final;
  void disconnect(peer_id peer) final;
  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  std::chrono::nanoseconds deadline) final;
  void cancel(request_id request) final;
  bool post(std::function<void()> task) final { return thread_.post(std::move(task)); }
  void close() final;

protected:
  explicit threaded_endpoint(const limits& bounds) : bounds_(bounds) {}

  /// Starts the thread; from now on the `do_` functions are called.
  std::error_code start(handler& h, progress_thread::hooks hooks);

  // On the progress thread. None may call the handler for a peer after `lose` of that peer.
  virtual void do_connect(peer_id peer, const address& where, completion done) = 0;
  virtual void do_disconnect(peer_id peer) = 0;
  virtual void do_send(outgoing message) = 0;
  /// The transfer was settled by its deadline or its caller: drop it if it has not left yet.
  virtual void do_abandon(request_id id, peer_id to) = 0;
  /// Every transfer is settled; say goodbye and call `thread().finish()`, now or later.
  virtual void do_shutdown() = 0;

  /// Ends a transfer; without effect when it was already settled.
  void settle(request_id id, std::error_code code);
  void settle_peer(peer_id peer, std::error_code code);
  /// Fails the peer's transfers, then tells the handler.
  void lose(peer_id peer, std::error_code reason);

  bool pending(request_id id) const { return book_.count(id) > 0; }
  /// Null once `close` was called.
  handler* owner() const noexcept { return owner_; }
  bool closing() const noexcept { return closing_; }
  const limits& bounds() const noexcept { return bounds_; }
  progress_thread& thread() noexcept { return thread_; }

private:
  struct entry {
    peer_id to = 0;
    completion done;
    progress_thread::timer_id timer;
  };
  void accept(outgoing message, completion done, progress_thread::clock::time_point deadline);
  void fail_now(completion done, std::error_code code);
  template <class Predicate>
  void settle_if(Predicate concerned, std::error_code code);

  const limits bounds_;
  handler* owner_ = nullptr;
  bool closing_ = false;
  bool shut_down_ = false;
  std::map<request_id, entry> book_;
  std::atomic<request_id> last_request_{0};
  std::atomic<std::size_t> pending_{0};
  std::mutex joining_;
  progress_thread thread_;
};

} // namespace skippipe::transport
