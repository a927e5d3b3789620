#include "transport/sealed.hpp"

#include "transport/buffer_pool.hpp"
#include "transport/placement.hpp"
#include "transport/replay_window.hpp"
#include "transport/seal.hpp"
#include "transport/side_thread.hpp"
#include "transport/wire_codec.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>

namespace skippipe::transport {

namespace {

/// Incarnation and epoch behind the wrapped endpoint's address.
constexpr std::size_t suffix_size = 16;
/// Ids of sends that never reached the wrapped endpoint.
constexpr request_id own_ids = request_id{1} << 63;

/// Of memory for encrypted payloads, between two sends.
constexpr std::size_t kept_bytes = std::size_t{64} << 20;

/// Payloads from this size on are decrypted beside the progress thread, which would stand still for longer
/// than handing over takes.
constexpr std::size_t aside_from = std::size_t{2} << 20;

using life = std::pair<peer_id, std::uint64_t>; ///< A peer and its epoch.

/// One direction to one life of a peer.
struct outbound {
  seal_key key;
  std::uint64_t receiver_epoch;
  std::atomic<std::uint64_t> counter{0};
};

struct inbound {
  seal_key key;
  replay_window window;
};

class sealed final : public endpoint, private handler {
public:
  sealed(std::unique_ptr<endpoint> inner, sealed_options options)
      : options_(std::move(options)), inner_(std::move(inner)) {
    if (options_.secret.size() < 16)
      throw std::invalid_argument("a sealed endpoint needs a secret of at least 16 bytes");
    epoch_ = options_.epoch;
    if (epoch_ == 0 && RAND_bytes(reinterpret_cast<unsigned char*>(&epoch_), sizeof epoch_) != 1)
      throw std::runtime_error("no random numbers; check OpenSSL");
  }
  ~sealed() override { close(); }

  std::error_code listen(handler& h) override {
    owner_ = &h;
    return inner_->listen(*this);
  }
  address local_address() const override {
    return sealed_address(inner_->local_address(), options_.incarnation, epoch_);
  }
  void connect(peer_id peer, const address& where, completion done) override;
  void disconnect(peer_id peer) override {
    forget(peer);
    inner_->post([this, peer] { ++opening_[peer].connection; });
    inner_->disconnect(peer);
  }
  request_id send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                  std::chrono::nanoseconds deadline) override;
  void cancel(request_id request) override {
    if ((request & own_ids) == 0)
      inner_->cancel(request);
  }
  bool post(std::function<void()> task) override { return inner_->post(std::move(task)); }
  void close() override {
    inner_->close();
    aside_.stop();
  }

private:
  buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer*) override {
    if (open_header(from, header, size) == nullptr)
      return {};
    return ask_place(*owner_, from, header.subspan(seal_prefix_size), size);
  }
  void on_message(peer_id from, std::span<const std::byte> header, buffer payload) override;
  void on_peer_lost(peer_id peer, std::error_code reason) override {
    forget(peer);
    ++opening_[peer].connection;
    if (banned_.erase(peer) == 0)
      owner_->on_peer_lost(peer, reason);
  }

  inbound* open_header(peer_id from, std::span<const std::byte> header, std::size_t size);
  void open_aside(peer_id from, const seal_key& key, const seal_prefix& prefix,
                  std::span<const std::byte> header, buffer payload);
  inbound* drop(peer_id from, std::string_view why);
  void ban(peer_id from, errc code, std::string_view why);
  std::shared_ptr<outbound> reach(peer_id peer, std::uint64_t epoch);
  void forget(peer_id peer);
  request_id fail(completion done, errc code);

  const sealed_options options_;
  std::uint64_t epoch_ = 0;
  handler* owner_ = nullptr;
  std::atomic<request_id> last_own_id_{0};
  buffer_pool hidden_{kept_bytes};

  std::mutex mutex_; ///< Guards the next two.
  std::map<peer_id, std::shared_ptr<outbound>> reached_;
  /// Every life ever spoken to: going back to one must go on with its counter.
  std::map<life, std::shared_ptr<outbound>> outbound_;

  /// Messages of a peer whose payloads are being decrypted; later ones queue behind them.
  struct opening {
    std::size_t waiting = 0;
    std::uint64_t connection = 0; ///< Counts connections: what an ended one sent is not delivered.
  };

  // Used inside callbacks only.
  std::map<peer_id, opening> opening_;
  std::map<life, inbound> inbound_;
  std::map<peer_id, std::uint64_t> newest_; ///< Incarnations heard from.
  std::set<peer_id> banned_;                ///< Lost for what they sent; the connection is ending.

  std::unique_ptr<endpoint> inner_; ///< Closed first of all, and with it the callbacks end.
  side_thread aside_;
};

void sealed::connect(peer_id peer, const address& where, completion done) {
  address below;
  std::uint64_t incarnation = 0;
  if (!where.empty()) {
    if (where.size() < suffix_size) {
      fail(std::move(done), errc::bad_address);
      return;
    }
    below.assign(where.begin(), where.end() - suffix_size);
    field_reader suffix(std::span<const std::byte>(where).last(suffix_size));
    incarnation = suffix.take<std::uint64_t>();
    const auto epoch = suffix.take<std::uint64_t>();
    const auto to = reach(peer, epoch);
    const std::lock_guard guard(mutex_);
    reached_[peer] = to;
  }
  inner_->post([this, peer, incarnation] {
    banned_.erase(peer);
    newest_[peer] = std::max(newest_[peer], incarnation); // earlier lives have nothing more to say
  });
  inner_->connect(peer, below, std::move(done));
}

std::shared_ptr<outbound> sealed::reach(peer_id peer, std::uint64_t epoch) {
  const std::lock_guard guard(mutex_);
  auto& to = outbound_[{peer, epoch}];
  if (to == nullptr)
    to = std::shared_ptr<outbound>(new outbound{
        seal_key(options_.secret, {options_.self, options_.incarnation, epoch_, peer, epoch}),
        epoch});
  return to;
}

void sealed::forget(peer_id peer) {
  const std::lock_guard guard(mutex_);
  reached_.erase(peer);
}

request_id sealed::fail(completion done, errc code) {
  const request_id id = own_ids | ++last_own_id_;
  if (!done)
    return id;
  const auto held = std::make_shared<completion>(std::move(done));
  if (!inner_->post([held, code] { (*held)(code); }))
    (*held)(errc::closed);
  return id;
}

request_id sealed::send(peer_id to, std::vector<std::byte> header, buffer payload, completion done,
                        std::chrono::nanoseconds deadline) {
  std::shared_ptr<outbound> out;
  {
    const std::lock_guard guard(mutex_);
    if (const auto it = reached_.find(to); it != reached_.end())
      out = it->second;
  }
  if (out == nullptr)
    return fail(std::move(done), errc::unknown_peer);
  seal_prefix prefix;
  prefix.incarnation = options_.incarnation;
  prefix.epoch = epoch_;
  prefix.receiver_epoch = out->receiver_epoch;
  prefix.counter = ++out->counter;
  const buffer hidden = payload.empty() ? buffer{} : hidden_.take(payload.size());
  auto sealed_header = out->key.seal(prefix, header, payload.bytes(), hidden.bytes());
  return inner_->send(to, std::move(sealed_header), hidden, std::move(done), deadline);
}

/// The state of the sender's life when prefix and header are genuine and new; else null, and all is said
/// and done.
inbound* sealed::open_header(peer_id from, std::span<const std::byte> header, std::size_t size) {
  if (banned_.count(from) > 0)
    return nullptr;
  const auto prefix = decode_seal(header);
  if (!prefix) {
    ban(from, errc::malformed, "not sealed");
    return nullptr;
  }
  if (prefix->receiver_epoch != epoch_)
    return drop(from, "sealed for an earlier life of this node");
  auto known = inbound_.find({from, prefix->epoch});
  std::optional<inbound> fresh;
  if (known == inbound_.end())
    fresh.emplace(inbound{seal_key(options_.secret, {from, prefix->incarnation, prefix->epoch,
                                                     options_.self, epoch_}),
                          {}});
  const seal_key& key = fresh ? fresh->key : known->second.key;
  if (!key.opens_header(*prefix, header.subspan(seal_prefix_size), size)) {
    ban(from, errc::not_authenticated, "not sealed with the job's secret, or changed on the way");
    return nullptr;
  }
  auto& newest = newest_[from];
  if (prefix->incarnation < newest)
    return drop(from, "from an earlier life of its sender");
  newest = prefix->incarnation;
  if (fresh) {
    known = inbound_.emplace(life{from, prefix->epoch}, std::move(*fresh)).first;
    const auto answer = reach(from, prefix->epoch);
    const std::lock_guard guard(mutex_);
    reached_.emplace(from, answer); // one that has only dialed in can be answered
  }
  if (known->second.window.seen(prefix->counter))
    return drop(from, "repeated");
  return &known->second;
}

void sealed::on_message(peer_id from, std::span<const std::byte> header, buffer payload) {
  inbound* in = open_header(from, header, payload.size());
  if (in == nullptr)
    return;
  const auto prefix = *decode_seal(header);
  const auto inside = header.subspan(seal_prefix_size);
  in->window.accept(prefix.counter);
  if (payload.size() >= aside_from || opening_[from].waiting > 0)
    return open_aside(from, in->key, prefix, inside, std::move(payload));
  if (!payload.empty() && !in->key.opens_payload(prefix, inside, payload.bytes()))
    return ban(from, errc::corrupted, "its payload was changed on the way");
  owner_->on_message(from, inside, std::move(payload));
}

void sealed::open_aside(peer_id from, const seal_key& key, const seal_prefix& prefix,
                        std::span<const std::byte> header, buffer payload) {
  struct message {
    seal_key key;
    seal_prefix prefix;
    std::vector<std::byte> header;
    buffer payload;
    std::uint64_t connection;
    bool genuine = true;
  };
  auto& state = opening_[from];
  ++state.waiting;
  const auto m = std::make_shared<message>(
      message{key, prefix, {header.begin(), header.end()}, std::move(payload), state.connection});
  aside_.run([this, from, m] {
    m->genuine =
        m->payload.empty() || m->key.opens_payload(m->prefix, m->header, m->payload.bytes());
    inner_->post([this, from, m] {
      auto& now = opening_[from];
      --now.waiting;
      if (now.connection != m->connection || banned_.count(from) > 0)
        return;
      if (m->genuine)
        owner_->on_message(from, m->header, std::move(m->payload));
      else
        ban(from, errc::corrupted, "its payload was changed on the way");
    });
  });
}

inbound* sealed::drop(peer_id from, std::string_view why) {
  if (options_.log)
    options_.log(from, "dropped a message: " + std::string(why));
  return nullptr;
}

void sealed::ban(peer_id from, errc code, std::string_view why) {
  if (options_.log)
    options_.log(from, "lost: " + std::string(why));
  banned_.insert(from);
  disconnect(from);
  owner_->on_peer_lost(from, code);
}

} // namespace

limits limits_below_seal(limits bounds) {
  bounds.max_header += seal_prefix_size;
  return bounds;
}

address sealed_address(address inner, std::uint64_t incarnation, std::uint64_t epoch) {
  field_writer(inner).put(incarnation).put(epoch);
  return inner;
}

std::unique_ptr<endpoint> make_sealed_endpoint(std::unique_ptr<endpoint> inner,
                                               sealed_options options) {
  return std::make_unique<sealed>(std::move(inner), std::move(options));
}

} // namespace skippipe::transport
