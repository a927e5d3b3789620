#include "transport/checksum.hpp"
#include "transport/ucx/engine.hpp"

namespace skippipe::transport::ucx {
namespace {

/// Small messages may overtake a stuck large one by so many; the receiver keeps them meanwhile.
constexpr std::uint64_t early_limit = 1024;

} // namespace

operation& engine::new_operation(operation::kind what, const connection& c) {
  operation& op = operations_.emplace_back();
  op.self = std::prev(operations_.end());
  op.owner = this;
  op.what = what;
  op.peer = c.id;
  op.serial = c.serial;
  return op;
}

void engine::do_send(outgoing message) {
  const auto it = connections_.find(message.to);
  if (it == connections_.end() || it->second.ep == nullptr)
    return settle(message.id, errc::unknown_peer);
  const std::uint64_t serial = it->second.serial;
  const peer_id peer = message.to;
  it->second.waiting.push_back(std::move(message));
  pump(peer, serial);
}

void engine::do_abandon(request_id id, peer_id to) {
  const auto it = connections_.find(to);
  if (it == connections_.end())
    return;
  // What UCX has begun cannot be taken back; its memory is kept until UCX lets go of it.
  std::erase_if(it->second.waiting, [id](const outgoing& m) { return m.id == id; });
}

/// Hands waiting messages to UCX while the window is open.
void engine::pump(peer_id peer, std::uint64_t serial) {
  for (;;) {
    connection* c = find(peer, serial); // a failed submit ends the connection
    if (c == nullptr || c->waiting.empty() || c->unfinished.size() >= options_.window)
      return;
    if (!c->unfinished.empty() && c->next_sequence - *c->unfinished.begin() >= early_limit)
      return;
    outgoing message = std::move(c->waiting.front());
    c->waiting.pop_front();
    hand_over(*c, std::move(message));
  }
}

void engine::hand_over(connection& c, outgoing message) {
  prefix p;
  p.from = options_.self;
  p.from_session = session_;
  p.to_session = c.session;
  p.epoch = c.epoch_out;
  p.sequence = c.next_sequence++;
  if (options_.checksum && !message.payload.empty()) {
    p.checked = true;
    p.sum = checksum(message.payload.bytes());
  }
  p.header_apart = prefix_size + message.header.size() > ucx_.max_inline_header;
  c.unfinished.insert(p.sequence);

  const std::uint64_t serial = c.serial;
  const peer_id peer = c.id;
  if (p.header_apart) {
    operation& apart = new_operation(operation::kind::header, c);
    prefix q = p;
    q.kind = packet_kind::header;
    q.header_apart = q.checked = false;
    q.sum = 0;
    apart.sequence = p.sequence;
    apart.request = message.id;
    apart.header = encode(q);
    apart.header_data = std::move(message.header);
    submit(c, apart);
    if (find(peer, serial) == nullptr)
      return;
  }
  operation& op = new_operation(operation::kind::message, c);
  op.sequence = p.sequence;
  op.request = message.id;
  op.header = encode(p);
  if (!p.header_apart)
    op.header.insert(op.header.end(), message.header.begin(), message.header.end());
  op.payload = std::move(message.payload);
  submit(c, op);
}

void engine::submit(connection& c, operation& op) {
  const bool apart = op.what == operation::kind::header;
  ucp_request_param_t param{};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = apart ? UCP_AM_SEND_FLAG_EAGER : 0; // the receiver keeps headers itself
  param.cb.send = &engine::on_sent;
  param.user_data = &op;
  const void* data = apart ? op.header_data.data() : op.payload.data();
  const std::size_t size = apart ? op.header_data.size() : op.payload.size();
  const ucs_status_ptr_t status =
      ucp_am_send_nbx(c.ep, message_am_id, op.header.data(), op.header.size(), data, size, &param);
  if (!UCS_PTR_IS_PTR(status))
    finish_send(op, UCS_PTR_STATUS(status));
}

void engine::on_sent(void* request, ucs_status_t status, void* op_pointer) {
  auto& op = *static_cast<operation*>(op_pointer);
  engine& self = *op.owner;
  const peer_id peer = op.peer;
  const std::uint64_t serial = op.serial;
  ucp_request_free(request);
  self.finish_send(op, status);
  self.pump(peer, serial);
}

void engine::finish_send(operation& op, ucs_status_t status) {
  const operation done = std::move(op);
  operations_.erase(done.self);
  connection* c = find(done);
  if (c == nullptr)
    return; // settled when the connection ended
  if (status != UCS_OK && status != UCS_ERR_REJECTED)
    return lose_connection(done.peer, errc::peer_lost); // a gap in the sequence cannot be mended
  if (done.what != operation::kind::message)
    return;
  c->unfinished.erase(done.sequence);
  settle(done.request, to_error(status));
}

void engine::say_goodbye(connection& c) {
  prefix p;
  p.kind = packet_kind::bye;
  p.from = options_.self;
  p.from_session = session_;
  p.to_session = c.session;
  p.epoch = c.epoch_out;
  operation& op = new_operation(operation::kind::header, c);
  op.header = encode(p);
  submit(c, op);
}

} // namespace skippipe::transport::ucx
