#include "transport/checksum.hpp"
#include "transport/placement.hpp"
#include "transport/ucx/engine.hpp"

#include <cstring>

namespace skippipe::transport::ucx {
namespace {

/// No honest sender gets further ahead of the oldest missing message (send.cpp: early_limit).
constexpr std::uint64_t horizon = 4096;

/// What UCX wants to hear about data that nobody wants: a rendezvous sender is told.
constexpr ucs_status_t drop(bool rendezvous) { return rendezvous ? UCS_ERR_REJECTED : UCS_OK; }

} // namespace

ucs_status_t engine::on_am(void* self, const void* header, std::size_t header_size, void* data,
                           std::size_t size, const ucp_am_recv_param_t* param) {
  const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  const std::span head(static_cast<const std::byte*>(header), header_size);
  return static_cast<engine*>(self)->on_packet(head, data, size, rendezvous);
}

ucs_status_t engine::on_packet(std::span<const std::byte> header, void* data, std::size_t size,
                               bool rendezvous) {
  const auto p = decode_prefix(header);
  if (!p || p->to_session != session_ || closing())
    return drop(rendezvous);
  connection* c = find_or_admit(*p);
  if (c == nullptr)
    return drop(rendezvous);
  if (p->kind == packet_kind::bye) {
    c->left = true;
    lose_connection(c->id, errc::peer_lost);
    return drop(rendezvous);
  }
  const auto seen = c->arrivals.find(p->sequence);
  const bool repeated =
      seen != c->arrivals.end()
      && (p->kind == packet_kind::header ? seen->second.has_header : seen->second.has_packet);
  if (repeated || p->sequence < c->expected || p->sequence - c->expected > horizon
      || (p->kind == packet_kind::header && rendezvous)) {
    lose_connection(c->id, errc::malformed);
    return drop(rendezvous);
  }
  if (p->kind == packet_kind::header) {
    on_header_packet(*c, *p, {static_cast<const std::byte*>(data), size});
    return UCS_OK;
  }
  return on_message_packet(*c, *p, header.subspan(prefix_size), data, size, rendezvous);
}

ucs_status_t engine::on_message_packet(connection& c, const prefix& p,
                                       std::span<const std::byte> header, void* data,
                                       std::size_t size, bool rendezvous) {
  arrival& a = c.arrivals[p.sequence];
  a.has_packet = true;
  a.head = p;
  if (p.header_apart && !a.has_header) {
    if (size > bounds().max_payload)
      a.settled = a.refused = true;
    else if (rendezvous) {
      a.held = data;
      a.held_size = size;
      return UCS_INPROGRESS;
    } else if (size > 0) {
      a.payload = buffer::allocate(size);
      std::memcpy(a.payload.data(), data, size);
    }
    return drop(rendezvous);
  }
  if (!p.header_apart) {
    a.has_header = true;
    a.header.assign(header.begin(), header.end());
  }
  return take(c, a, p, a.header, data, size, rendezvous);
}

void engine::on_header_packet(connection& c, const prefix& p, std::span<const std::byte> data) {
  arrival& a = c.arrivals[p.sequence];
  a.has_header = true;
  if (data.size() > bounds().max_header)
    a.refused = true;
  else
    a.header.assign(data.begin(), data.end());
  if (!a.has_packet || a.settled)
    return;
  if (void* held = std::exchange(a.held, nullptr)) {
    if (take(c, a, a.head, a.header, held, a.held_size, true) != UCS_INPROGRESS)
      ucp_am_data_release(ucx_.worker.get(), held);
    return;
  }
  const buffer early = std::exchange(a.payload, {});
  take(c, a, a.head, a.header, early.data(), early.size(), false);
}

/// The message's header is known: places the payload and receives it. The status is for UCX.
ucs_status_t engine::take(connection& c, arrival& a, const prefix& p,
                          std::span<const std::byte> header, void* data, std::size_t size,
                          bool rendezvous) {
  const peer_id peer = c.id;
  const std::uint64_t serial = c.serial;
  if (header.size() > bounds().max_header || size > bounds().max_payload)
    a.refused = true;
  else if (size > 0 && !a.refused) {
    a.payload = ask_place(*owner(), peer, header, size);
    a.refused = a.payload.empty();
  }
  if (a.refused || !rendezvous) {
    a.settled = true;
    if (!a.refused && size > 0) {
      std::memcpy(a.payload.data(), data, size);
      if (!intact(p, a.payload)) {
        lose_connection(peer, errc::corrupted);
        return UCS_OK;
      }
    }
    deliver(peer, serial);
    return drop(rendezvous);
  }

  operation& op = new_operation(operation::kind::receive, c);
  op.sequence = p.sequence;
  op.payload = a.payload;
  ++c.receiving;
  ucp_request_param_t param{};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  param.cb.recv_am = &engine::on_received;
  param.user_data = &op;
  const ucs_status_ptr_t status =
      ucp_am_recv_data_nbx(ucx_.worker.get(), data, op.payload.data(), size, &param);
  if (UCS_PTR_IS_ERR(status))
    finish_receive(op, UCS_PTR_STATUS(status));
  return UCS_INPROGRESS;
}

void engine::on_received(void* request, ucs_status_t status, std::size_t, void* op) {
  auto& received = *static_cast<operation*>(op);
  ucp_request_free(request);
  received.owner->finish_receive(received, status);
}

void engine::finish_receive(operation& op, ucs_status_t status) {
  const operation done = std::move(op);
  operations_.erase(done.self);
  connection* c = find(done);
  if (c == nullptr) {
    for (departure& d : departures_)
      d.gone.receiving -= d.gone.serial == done.serial ? 1 : 0;
    return;
  }
  --c->receiving;
  arrival& a = c->arrivals.at(done.sequence);
  if (status != UCS_OK)
    return lose_connection(done.peer, errc::peer_lost);
  if (!intact(a.head, a.payload))
    return lose_connection(done.peer, errc::corrupted);
  a.settled = true;
  deliver(done.peer, done.serial);
}

bool engine::intact(const prefix& p, const buffer& payload) const {
  return !p.checked || checksum(payload.bytes()) == p.sum;
}

/// Delivers what is complete, in order.
void engine::deliver(peer_id peer, std::uint64_t serial) {
  for (;;) {
    connection* c = find(peer, serial);
    if (c == nullptr || c->arrivals.empty())
      return;
    const auto first = c->arrivals.begin();
    if (first->first != c->expected || !first->second.settled)
      return;
    const arrival a = std::move(first->second);
    c->arrivals.erase(first);
    ++c->expected;
    if (!a.refused && owner() != nullptr)
      owner()->on_message(peer, a.header, a.payload);
  }
}

} // namespace skippipe::transport::ucx
