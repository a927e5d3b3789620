#include "transport/tls/outbox.hpp"

#include <algorithm>

namespace skippipe::transport::tls {

void outbox::push(outgoing message) {
  auto s = std::make_shared<sending>();
  s->message = std::move(message);
  queue_.push_back(std::move(s));
}

bool outbox::next(unsigned stream, piece& out) {
  if (!control_[stream].empty()) {
    out = {encode(control_[stream].front()), {}, nullptr};
    control_[stream].pop_front();
    return true;
  }
  if (queue_.empty())
    return false;
  const sending_ptr s = queue_.front();
  const std::size_t size = s->message.payload.size();
  // What fits into one chunk stays on the stream of its announcement: nobody has to wait for it.
  if (stream != 0 && (!s->announced || size <= chunk_size))
    return false;
  if (!s->announced) {
    s->announced = true;
    s->sequence = next_sequence_++;
    active_.emplace(s->sequence, s);
    const auto& header = s->message.header;
    out = {encode(frame{frame_kind::message, static_cast<std::uint32_t>(header.size()), s->sequence,
                        size}),
           header, s};
  } else {
    const auto chunk =
        s->message.payload.bytes().subspan(s->offset, std::min(chunk_size, size - s->offset));
    out = {encode(frame{frame_kind::chunk, static_cast<std::uint32_t>(chunk.size()), s->sequence,
                        s->offset}),
           chunk, s};
    s->offset += chunk.size();
  }
  ++s->unwritten;
  if (s->dealt_out())
    queue_.pop_front();
  return true;
}

request_id outbox::written(const piece& p) {
  if (p.whole == nullptr)
    return 0;
  sending& s = *p.whole;
  --s.unwritten;
  if (s.stopped || !s.dealt_out() || s.unwritten > 0)
    return 0;
  active_.erase(s.sequence);
  return s.message.id;
}

void outbox::abandon(request_id id) {
  const auto has_id = [id](const sending_ptr& s) { return s->message.id == id; };
  if (const auto it = std::find_if(queue_.begin(), queue_.end(), has_id);
      it != queue_.end() && !(*it)->announced) {
    queue_.erase(it);
    return;
  }
  const auto it = std::find_if(active_.begin(), active_.end(),
                               [&](const auto& entry) { return has_id(entry.second); });
  if (it != active_.end())
    stop(sending_ptr(it->second));
}

request_id outbox::refused(std::uint64_t sequence) {
  const auto it = active_.find(sequence);
  if (it == active_.end())
    return 0;
  const sending_ptr s = it->second;
  stop(s);
  return s->message.id;
}

void outbox::stop(const sending_ptr& s) {
  s->stopped = true;
  active_.erase(s->sequence);
  std::erase(queue_, s);
  for (auto& frames : control_)
    frames.push_back({frame_kind::abort, 0, s->sequence, 0});
}

void outbox::refuse(std::uint64_t sequence) {
  control_[0].push_back({frame_kind::refuse, 0, sequence, 0});
}

} // namespace skippipe::transport::tls
