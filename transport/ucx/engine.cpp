#include "transport/ucx/engine.hpp"

#include <sys/epoll.h>
#include <sys/random.h>

#include <algorithm>

namespace skippipe::transport::ucx {
namespace {

session_id random_session() {
  session_id s = 0;
  while (s == 0)
    if (::getrandom(&s, sizeof s, 0) != sizeof s)
      s = 0;
  return s;
}

} // namespace

engine::engine(ucx_options options)
    : threaded_endpoint(options.bounds), options_(std::move(options)) {}

engine::~engine() { close(); }

std::error_code engine::listen(handler& h) {
  if (auto problem = open_runtime(options_, ucx_))
    return problem;
  session_ = random_session();
  address_ = encode(node_address{options_.self, session_, ucx_.worker_address});

  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS
                     | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  param.id = message_am_id;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  param.cb = &engine::on_am;
  param.arg = this;
  if (ucp_worker_set_am_recv_handler(ucx_.worker.get(), &param) != UCS_OK)
    return errc::setup_failed;

  progress_thread::hooks hooks;
  hooks.poll = [this] { return poll(); };
  hooks.arm = [this] { return ucp_worker_arm(ucx_.worker.get()) == UCS_OK; };
  hooks.busy = options_.busy_poll;
  hooks.begin = [this] { thread().watch(ucx_.event_fd, EPOLLIN, {}); };
  hooks.end = [this] { dismantle(); };
  return start(h, std::move(hooks));
}

bool engine::poll() {
  bool worked = false;
  // A bounded number of rounds, so that tasks and deadlines get their turn under load.
  for (int i = 0; i < 16 && ucp_worker_progress(ucx_.worker.get()) != 0; ++i)
    worked = true;
  worked |= reap_failed();
  worked |= reap_departures();
  // In the middle of a stream of messages the next one is microseconds away: cheaper to look again
  // than to sleep and be woken.
  const auto now = progress_thread::clock::now();
  if (worked)
    last_work_ = now;
  return now - last_work_ < options_.linger;
}

connection* engine::find(peer_id peer, std::uint64_t serial) {
  const auto it = connections_.find(peer);
  return it != connections_.end() && it->second.serial == serial ? &it->second : nullptr;
}

connection& engine::new_connection(peer_id peer, session_id session) {
  connection& c = connections_[peer];
  c.id = peer;
  c.session = session;
  c.serial = ++last_serial_;
  return c;
}

/// The connection that a packet belongs to. The newest life and connection of a peer wins: its first
/// packet ends the earlier connection, whose packets are dropped from then on.
connection* engine::find_or_admit(const prefix& p) {
  if (const auto dead = dead_.find(p.from_session); dead != dead_.end() && p.epoch <= dead->second)
    return nullptr;
  if (const auto it = connections_.find(p.from); it != connections_.end()) {
    connection& c = it->second;
    if (c.session == p.from_session && c.epoch_in == 0)
      c.epoch_in = p.epoch;
    if (c.session == p.from_session && c.epoch_in == p.epoch)
      return &c;
    if (c.session == p.from_session && c.epoch_in > p.epoch)
      return nullptr;
    lose_connection(p.from, errc::peer_lost);
  }
  connection& c = new_connection(p.from, p.from_session);
  c.epoch_in = p.epoch;
  c.established = true;
  return &c;
}

void engine::do_connect(peer_id peer, const address& where, completion done) {
  const auto parsed = decode_address(where);
  if (!parsed || parsed->id != peer || parsed->session == session_)
    return done(errc::bad_address);
  if (const auto it = connections_.find(peer); it != connections_.end()) {
    if (it->second.ep != nullptr)
      return done(errc::already_connected);
    if (it->second.session != parsed->session)
      lose_connection(peer, errc::peer_lost);
  }
  const bool dialed_in = connections_.count(peer) > 0;
  connection& c = dialed_in ? connections_.at(peer) : new_connection(peer, parsed->session);
  c.epoch_out = ++epochs_[peer];
  if (auto problem = open_endpoint(c, parsed->worker)) {
    if (!dialed_in)
      connections_.erase(peer);
    return done(problem);
  }
  c.connected = std::move(done);

  // The flush ends when the peer has answered.
  operation& op = new_operation(operation::kind::connect, c);
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = &engine::on_connected;
  param.user_data = &op;
  const ucs_status_ptr_t status = ucp_ep_flush_nbx(c.ep, &param);
  if (!UCS_PTR_IS_PTR(status))
    on_connected(nullptr, UCS_PTR_STATUS(status), &op);
}

std::error_code engine::open_endpoint(connection& c, const std::vector<std::byte>& worker_address) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE
                      | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(worker_address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = &engine::on_endpoint_error;
  params.err_handler.arg = this;
  return to_error(ucp_ep_create(ucx_.worker.get(), &params, &c.ep));
}

void engine::on_connected(void* request, ucs_status_t status, void* op_pointer) {
  auto& op = *static_cast<operation*>(op_pointer);
  engine& self = *op.owner;
  if (request != nullptr)
    ucp_request_free(request);
  connection* c = self.find(op);
  const peer_id peer = op.peer;
  self.operations_.erase(op.self);
  if (c == nullptr)
    return;
  if (status != UCS_OK)
    return self.lose_connection(peer, errc::unreachable);
  c->established = true;
  if (const completion done = std::exchange(c->connected, {}))
    done({});
}

void engine::on_endpoint_error(void* self, ucp_ep_h ep, ucs_status_t status) {
  // UCX does not allow closing the endpoint here.
  static_cast<engine*>(self)->failed_.emplace_back(ep, to_error(status));
}

bool engine::reap_failed() {
  const auto failed = std::exchange(failed_, {});
  for (const auto& [ep, code] : failed) {
    for (departure& d : departures_)
      d.gone.failed |= d.gone.ep == ep;
    const auto it = std::find_if(connections_.begin(), connections_.end(),
                                 [ep = ep](const auto& c) { return c.second.ep == ep; });
    if (it == connections_.end())
      continue;
    it->second.failed = true;
    lose_connection(it->first, errc::peer_lost);
  }
  return !failed.empty();
}

/// Takes a connection out of use; what is left of it is closed in the background.
void engine::retire(peer_id peer) {
  const auto it = connections_.find(peer);
  std::uint32_t& dead = dead_[it->second.session];
  dead = std::max(dead, it->second.epoch_in);
  departure& d = departures_.emplace_back();
  d.gone = std::move(it->second);
  connections_.erase(it);
  for (auto& [sequence, a] : d.gone.arrivals)
    if (a.held != nullptr)
      ucp_am_data_release(ucx_.worker.get(), a.held);
  d.gone.arrivals.clear();
  d.gone.waiting.clear();
}

void engine::lose_connection(peer_id peer, std::error_code reason) {
  const completion connecting = std::exchange(connections_.at(peer).connected, {});
  const bool was_established = connections_.at(peer).established;
  retire(peer);
  if (connecting)
    connecting(reason);
  if (was_established)
    lose(peer, reason);
  else
    settle_peer(peer, reason);
}

void engine::do_disconnect(peer_id peer) {
  const auto it = connections_.find(peer);
  if (it == connections_.end())
    return;
  const completion connecting = std::exchange(it->second.connected, {});
  retire(peer);
  if (connecting)
    connecting(errc::canceled);
}

/// Nothing is under way on a departing connection, or it is broken.
bool engine::quiet(departure& d) {
  connection& c = d.gone;
  const bool flushed = d.flush == nullptr || ucp_request_check_status(d.flush) != UCS_INPROGRESS;
  return c.failed || (flushed && c.receiving == 0);
}

void engine::force_close(departure& d) {
  d.closing = true;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  const ucs_status_ptr_t close = ucp_ep_close_nbx(d.gone.ep, &param);
  if (d.flush != nullptr)
    ucp_request_free(d.flush);
  if (UCS_PTR_IS_PTR(close))
    d.close = close;
}

/// Advances a departure; true when it is over.
///
/// An endpoint is closed only when it is quiet or broken, however long that takes: UCX 1.13 reads
/// freed memory when a peer's close arrives while our own still waits for the socket, and a rendezvous
/// under way may go on writing into its buffer. A frozen peer's endpoint so stays, with its buffers,
/// until the peer wakes or dies.
bool engine::depart(departure& d) {
  connection& c = d.gone;
  if (c.ep == nullptr)
    return c.receiving == 0;
  if (!std::exchange(d.begun, true) && !c.failed) {
    if (!c.left)
      say_goodbye(c);
    ucp_request_param_t param{};
    const ucs_status_ptr_t flush = ucp_ep_flush_nbx(c.ep, &param);
    if (UCS_PTR_IS_PTR(flush))
      d.flush = flush;
  }
  if (!d.closing) {
    if (!quiet(d))
      return false;
    force_close(d);
  }
  if (d.close != nullptr) {
    if (ucp_request_check_status(d.close) == UCS_INPROGRESS)
      return false;
    ucp_request_free(d.close);
  }
  return true;
}

bool engine::reap_departures() {
  const std::size_t before = departures_.size();
  departures_.remove_if([this](departure& d) { return depart(d); });
  if (leaving_ && departures_.empty())
    thread().finish();
  return departures_.size() != before;
}

void engine::do_shutdown() {
  leaving_ = true;
  while (!connections_.empty()) {
    const peer_id peer = connections_.begin()->first;
    const completion connecting = std::exchange(connections_.begin()->second.connected, {});
    retire(peer);
    if (connecting)
      connecting(errc::closed);
  }
  thread().at(progress_thread::clock::now() + options_.goodbye, [this] { thread().finish(); });
}

/// The last thing on the thread: gives the sockets back.
void engine::dismantle() {
  for (departure& d : departures_) {
    d.gone.failed = true;
    if (d.gone.ep != nullptr && !d.closing)
      force_close(d);
  }
  ucx_.worker.reset();
  ucx_.context.reset();
}

} // namespace skippipe::transport::ucx

namespace skippipe::transport {

std::unique_ptr<endpoint> make_ucx_endpoint(ucx_options options) {
  return std::make_unique<ucx::engine>(std::move(options));
}

} // namespace skippipe::transport
