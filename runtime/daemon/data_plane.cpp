#include "runtime/daemon/data_plane.hpp"

#include "actors/protocol/codec.hpp"
#include "model/hash.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/daemon/advertised.hpp"
#include "runtime/daemon/data_endpoint.hpp"
#include "runtime/daemon/link_meter.hpp"
#include "transport/emulated.hpp"
#include "transport/limited.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

namespace skippipe::runtime::daemon {

namespace {

using transport::buffer;
using transport::errc;

/// The session, and when the message was sent by the sender's clock.
struct prefix {
  session_no session = 0;
  std::int64_t sent_ns = 0;
};
constexpr std::size_t prefix_bytes = sizeof(prefix);

template <class T>
T read_number(std::span<const std::byte> from) {
  T value;
  std::memcpy(&value, from.data(), sizeof value);
  return value;
}

std::uint32_t name_bits(const std::string& name) {
  return static_cast<std::uint32_t>(model::name_hash(name) >> 32);
}

} // namespace

life_id make_life(const std::string& name) {
  std::random_device source;
  return (std::uint64_t{name_bits(name)} << 32) | source();
}

bool may_be(life_id life, const std::string& name) { return life >> 32 == name_bits(name); }

/// The endpoint's handler: hands everything to the session that a header names.
class data_plane::core final : public transport::handler {
public:
  buffer place(transport::peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer* offered) override;
  void on_message(transport::peer_id from, std::span<const std::byte> header,
                  buffer payload) override;
  void on_peer_lost(transport::peer_id peer, std::error_code reason) override;

  port* find(transport::peer_id from, std::span<const std::byte>& header, node_id& node,
             std::int64_t& sent_ns);
  void reach(life_id peer, const transport::address& where);
  std::unique_ptr<transport::endpoint> emulate(std::unique_ptr<transport::endpoint> inner,
                                               const emulation_config& emulation);

  life_id life = 0;
  transport::address address;
  std::string where;
  bool measures = true; ///< Links: not those that are emulated.
  std::unique_ptr<transport::endpoint> endpoint;
  std::mutex mutex;
  std::map<session_no, port*> ports;        ///< Guarded by mutex.
  std::set<life_id> reached;                ///< Connected, or on the way. Guarded by mutex.
  std::map<life_id, std::string> locations; ///< Emulated. Guarded by mutex.
  std::atomic<double> gradient_scale{1};    ///< Emulated bytes per real one.
};

/// A session's view of the endpoint.
class data_plane::port final : public transport::endpoint {
public:
  port(core& plane, session_no session) : plane_(plane), session_(session) {}
  ~port() override { close(); }

  std::error_code listen(transport::handler& h) override {
    const std::lock_guard guard{plane_.mutex};
    handler_ = &h;
    plane_.ports[session_] = this;
    return {};
  }
  transport::address local_address() const override { return plane_.address; }

  void connect(transport::peer_id peer, const transport::address& where,
               transport::completion done) override {
    const auto place = where.size() > sizeof(life_id) ? std::size_t(where[sizeof(life_id)]) : 0;
    const auto own = sizeof(life_id) + 1 + place;
    if (where.size() <= own) {
      if (done)
        done(make_error_code(errc::bad_address));
      return;
    }
    const auto life = read_number<life_id>(where);
    {
      const std::lock_guard guard{plane_.mutex};
      nodes_[life] = static_cast<node_id>(peer);
      lives_[static_cast<node_id>(peer)] = life;
      plane_.locations[life] = {reinterpret_cast<const char*>(where.data()) + sizeof(life_id) + 1,
                                place};
    }
    plane_.reach(life, {where.begin() + static_cast<std::ptrdiff_t>(own), where.end()});
    if (done)
      done({});
  }

  void disconnect(transport::peer_id peer) override {
    life_id life = 0;
    {
      const std::lock_guard guard{plane_.mutex};
      const auto found = lives_.find(static_cast<node_id>(peer));
      if (found == lives_.end())
        return;
      life = found->second;
      nodes_.erase(life);
      lives_.erase(found);
      plane_.reached.erase(life);
    }
    plane_.endpoint->disconnect(life);
  }

  transport::request_id send(transport::peer_id to, std::vector<std::byte> header, buffer payload,
                             transport::completion done,
                             std::chrono::nanoseconds deadline) override {
    life_id life = 0;
    {
      const std::lock_guard guard{plane_.mutex};
      const auto found = lives_.find(static_cast<node_id>(to));
      if (found != lives_.end())
        life = found->second;
    }
    if (life == 0) {
      if (done)
        done(make_error_code(errc::unreachable));
      return 0;
    }
    const prefix first{session_, link_meter::now_ns()};
    const auto* bytes = reinterpret_cast<const std::byte*>(&first);
    if (plane_.measures
        && meter_.announces(static_cast<node_id>(to), first.sent_ns, payload.size()))
      plane_.endpoint->send(life, {bytes, bytes + prefix_bytes}, {}, {}, deadline);
    header.insert(header.begin(), bytes, bytes + prefix_bytes);
    return plane_.endpoint->send(life, std::move(header), std::move(payload), std::move(done),
                                 deadline);
  }

  void cancel(transport::request_id request) override { plane_.endpoint->cancel(request); }
  bool post(std::function<void()> task) override { return plane_.endpoint->post(std::move(task)); }

  void close() override {
    {
      const std::lock_guard guard{plane_.mutex};
      const auto found = plane_.ports.find(session_);
      if (found == plane_.ports.end() || found->second != this)
        return;
      plane_.ports.erase(found);
    }
    // A callback that has found this port may still run: callbacks come one after the other.
    auto passed = std::make_shared<std::promise<void>>();
    if (plane_.endpoint->post([passed] { passed->set_value(); }))
      passed->get_future().wait();
  }

  link_meter meter_;

  // Guarded by the plane's mutex.
  transport::handler* handler_ = nullptr;
  std::map<life_id, node_id> nodes_;
  std::map<node_id, life_id> lives_;

private:
  core& plane_;
  const session_no session_;
};

data_plane::port* data_plane::core::find(transport::peer_id from,
                                         std::span<const std::byte>& header, node_id& node,
                                         std::int64_t& sent_ns) {
  if (header.size() < prefix_bytes)
    return nullptr;
  const auto first = read_number<prefix>(header);
  const std::lock_guard guard{mutex};
  const auto found = ports.find(first.session);
  if (found == ports.end())
    return nullptr;
  const auto peer = found->second->nodes_.find(from);
  if (peer == found->second->nodes_.end())
    return nullptr;
  node = peer->second;
  sent_ns = first.sent_ns;
  header = header.subspan(prefix_bytes);
  return found->second;
}

buffer data_plane::core::place(transport::peer_id from, std::span<const std::byte> header,
                               std::size_t size, const buffer* offered) {
  node_id node = 0;
  std::int64_t sent_ns = 0;
  auto* to = find(from, header, node, sent_ns);
  if (to == nullptr)
    return {};
  to->meter_.began(node, sent_ns, size);
  return to->handler_->place(node, header, size, offered);
}

void data_plane::core::on_message(transport::peer_id from, std::span<const std::byte> header,
                                  buffer payload) {
  node_id node = 0;
  std::int64_t sent_ns = 0;
  auto* to = find(from, header, node, sent_ns);
  if (to == nullptr)
    return;
  if (header.empty()) // It goes ahead of a payload.
    return to->meter_.announced(node, sent_ns, link_meter::now_ns());
  to->meter_.ended(node, sent_ns, link_meter::now_ns(), payload.size());
  to->handler_->on_message(node, header, std::move(payload));
}

void data_plane::core::on_peer_lost(transport::peer_id peer, std::error_code reason) {
  std::vector<std::pair<transport::handler*, node_id>> told;
  {
    const std::lock_guard guard{mutex};
    reached.erase(peer);
    for (const auto& [session, to] : ports)
      if (const auto found = to->nodes_.find(peer); found != to->nodes_.end())
        told.emplace_back(to->handler_, found->second);
  }
  for (const auto& [handler, node] : told)
    handler->on_peer_lost(node, reason);
}

void data_plane::core::reach(life_id peer, const transport::address& where) {
  {
    const std::lock_guard guard{mutex};
    if (!reached.insert(peer).second)
      return;
  }
  endpoint->connect(peer, where, [this, peer](std::error_code problem) {
    if (!problem)
      return;
    const std::lock_guard guard{mutex};
    reached.erase(peer);
  });
}

/// The network of the node's emulated location; sends share its interface where the table gives one.
std::unique_ptr<transport::endpoint>
data_plane::core::emulate(std::unique_ptr<transport::endpoint> inner,
                          const emulation_config& emulation) {
  transport::emulation_options options;
  options.self = life;
  const auto table = std::make_shared<link_table>(emulation.links);
  if (table->knows(emulation.location))
    options.interface_Bps = table->interface_Bps(emulation.location);
  options.contention = options.interface_Bps > 0;
  options.bounds.deadline = std::chrono::hours{1}; // Of emulated time.
  options.link = [this, table,
                  here = emulation.location](transport::peer_id peer) -> transport::emulated_link {
    std::string there;
    {
      const std::lock_guard guard{mutex};
      there = locations[peer];
    }
    if (!table->knows(there))
      return {};
    const auto speed = table->between(here, there);
    return {speed.latency_s, speed.bandwidth_Bps};
  };
  options.nominal_bytes = [this, payload = static_cast<double>(emulation.payload_bytes)](
                              std::span<const std::byte> header, std::size_t size) {
    if (size == 0 || header.size() < prefix_bytes)
      return 0.0; // Credits: latency only.
    const auto message = actors::decode(header.subspan(prefix_bytes));
    const bool gradients =
        message && std::holds_alternative<actors::gradient_chunk>(message->message);
    return gradients     ? static_cast<double>(size) * gradient_scale
           : payload > 0 ? payload
                         : static_cast<double>(size);
  };
  return transport::make_emulated_endpoint(std::move(inner), std::move(options),
                                           transport::make_real_timer(1 / emulation.time_scale));
}

data_plane::data_plane(const node_config& node, life_id life, const upload_limits& upload,
                       std::function<void(const std::string&)> log)
    : core_(std::make_unique<core>()), node_(node), upload_(upload.all()), time_(upload.time()),
      log_(std::move(log)) {
  core_->life = life;
  core_->measures = node_.emulation.location.empty();
  if (node_.relay.empty())
    listen();
}

void data_plane::listen() {
  // A free port may be taken by someone else before we listen on it; a fixed one is ours or not.
  const auto& at = node_.data_listen;
  std::string why = "no free port";
  for (int attempt = 0; attempt < (at.port != 0 ? 1 : 5); ++attempt) {
    const auto port = at.port != 0 ? at.port : free_port(at.host, node_.ports);
    if (port == 0)
      break;
    if (const auto problem = begin({port, {}})) {
      why = problem.message();
      continue;
    }
    core_->where = runtime::address{advertised_host(node_, at.host), port}.text();
    return;
  }
  throw std::runtime_error("node.data_listen = '" + at.text() + "': cannot listen there: " + why
                           + "; choose another address"
                           + (node_.ports.low != 0 ? " or node.ports" : ""));
}

std::error_code data_plane::begin(const data_place& place) {
  core_->endpoint = transport::make_limited_endpoint(
      make_data_endpoint(node_, core_->life, place, log_), upload_, time_);
  if (!core_->measures)
    core_->endpoint = core_->emulate(std::move(core_->endpoint), node_.emulation);
  const auto problem = core_->endpoint->listen(*core_);
  if (!problem)
    core_->address = core_->endpoint->local_address();
  return problem;
}

std::string data_plane::reach_through(const std::string& relay) {
  const auto where = "relay " + relay;
  if (core_->where == where)
    return {};
  {
    const std::lock_guard guard{core_->mutex};
    if (!core_->ports.empty())
      return "the relay has moved, and a session still ends";
    core_->reached.clear();
  }
  if (core_->endpoint)
    core_->endpoint->close();
  if (const auto problem = begin({0, relay}))
    return "relay " + relay + ": " + problem.message();
  core_->where = where;
  return {};
}

data_plane::~data_plane() {
  if (core_->endpoint)
    core_->endpoint->close();
}

void data_plane::scale_gradients(double factor) { core_->gradient_scale = factor; }

life_id data_plane::life() const { return core_->life; }
const transport::address& data_plane::address() const { return core_->address; }
const std::string& data_plane::where() const { return core_->where; }

std::vector<actors::link_sample> data_plane::take_samples(session_no session) {
  if (!core_->measures)
    return {};
  const std::lock_guard guard{core_->mutex};
  const auto found = core_->ports.find(session);
  return found == core_->ports.end() ? std::vector<actors::link_sample>{}
                                     : found->second->meter_.take();
}

std::unique_ptr<transport::endpoint> data_plane::open_session(session_no session) {
  return std::make_unique<port>(*core_, session);
}

transport::address data_plane::peer_address(const session_peer& peer) {
  // Life, length of the location, location, the transport's own address.
  const auto place = static_cast<std::uint8_t>(std::min<std::size_t>(peer.location.size(), 255));
  transport::address where(sizeof peer.life + 1 + place + peer.address.size());
  auto* out = where.data();
  const auto put = [&](const void* from, std::size_t size) {
    if (size > 0)
      std::memcpy(out, from, size);
    out += size;
  };
  put(&peer.life, sizeof peer.life);
  put(&place, 1);
  put(peer.location.data(), place);
  put(peer.address.data(), peer.address.size());
  return where;
}

} // namespace skippipe::runtime::daemon
