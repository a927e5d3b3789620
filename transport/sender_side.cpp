#include "transport/sender_side.hpp"

namespace skippipe::transport {

buffer sender_side::place(peer_id from, std::span<const std::byte> header, std::size_t size,
                          const buffer* offered) {
  return owner_->place(from, header, size, offered);
}

void sender_side::on_message(peer_id from, std::span<const std::byte> header, buffer payload) {
  owner_->on_message(from, header, std::move(payload));
}

void sender_side::on_peer_lost(peer_id peer, std::error_code reason) {
  give_up_peer(peer, errc::peer_lost);
  owner_->on_peer_lost(peer, reason);
}

void sender_side::report(completion done, std::error_code code) {
  if (!done)
    return;
  const auto held = std::make_shared<completion>(std::move(done));
  if (!inner_->post([held, code] { (*held)(code); }))
    (*held)(errc::closed);
}

namespace {

class wrapping_endpoint final : public endpoint {
public:
  wrapping_endpoint(std::shared_ptr<sender_side> side, std::shared_ptr<timer> time)
      : time_(std::move(time)), side_(std::move(side)) {}
  ~wrapping_endpoint() override { close(); }

  std::error_code listen(handler& h) override {
    side_->set_owner(h);
    return side_->inner().listen(*side_);
  }
  address local_address() const override { return side_->inner().local_address(); }
  void connect(peer_id peer, const address& where, completion done) override {
    side_->inner().connect(peer, where, std::move(done));
  }
  void disconnect(peer_id peer) override {
    // The wrapped endpoint first: else a message could reach it after one before it was given up.
    side_->inner().disconnect(peer);
    side_->give_up_peer(peer, errc::canceled);
  }
  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  std::chrono::nanoseconds deadline) override {
    return side_->send(to, std::move(header), std::move(payload), std::move(done), deadline);
  }
  void cancel(request_id request) override { side_->cancel(request); }
  bool post(std::function<void()> task) override { return side_->inner().post(std::move(task)); }
  void close() override {
    side_->inner().close(); // First, as in disconnect.
    side_->give_up_all(errc::closed);
  }

private:
  std::shared_ptr<timer> time_; ///< Ends last: its thread may still be in a task of the side.
  std::shared_ptr<sender_side> side_;
};

} // namespace

std::unique_ptr<endpoint> make_endpoint(std::shared_ptr<sender_side> side,
                                        std::shared_ptr<timer> time) {
  return std::make_unique<wrapping_endpoint>(std::move(side), std::move(time));
}

} // namespace skippipe::transport
