#include "transport/tls/relay_link.hpp"

#include <sys/epoll.h>

namespace skippipe::transport::tls {

relay_link::relay_link(progress_thread& thread, const tls_options& options, SSL_CTX* context,
                       const socket_address& relay, const relay_message& first, reports to)
    : thread_(thread), options_(options), context_(context), to_(std::move(to)),
      line_(open_connection(options, relay), false) {
  SSL_CTX_up_ref(context);
  line_.send(first);
  timer_ = thread_.at(progress_thread::clock::now() + options_.handshake_timeout, [this] {
    if (!answered_)
      end("no answer from the relay");
  });
  if (line_.fd() >= 0)
    thread_.watch(line_.fd(), EPOLLIN | EPOLLOUT, [this](std::uint32_t) { advance(); });
}

relay_link::~relay_link() { stop(); }

void relay_link::stop() {
  if (std::exchange(stopped_, true))
    return;
  thread_.cancel(timer_);
  if (line_.fd() >= 0)
    thread_.unwatch(line_.fd());
}

void relay_link::end(std::string_view why) {
  stop();
  to_.ended(why);
}

void relay_link::advance() {
  std::vector<relay_message> heard;
  std::string problem;
  const bool stands = line_.advance(context_.get(), heard, problem);
  if (line_.open() && !std::exchange(tuned_, true))
    tune(options_, line_.fd());
  for (const relay_message& m : heard) {
    answered_ = true;
    to_.heard(m);
    if (stopped_)
      return;
  }
  if (!stands)
    return end(problem);
  thread_.rewatch(line_.fd(), EPOLLIN | (line_.wants_out() ? EPOLLOUT : 0u));
}

} // namespace skippipe::transport::tls
