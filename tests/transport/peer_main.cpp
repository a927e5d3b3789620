// A peer process for tests: sends every message back to its sender.
//   transport_peer ucx ID
//   transport_peer tls ID CA CERTIFICATE KEY [RELAY]    (behind a relay)
//   transport_peer sealed ID SECRET    (over ucx)
// Prints its address in hexadecimal, then obeys "connect ID ADDRESS" lines until its input ends.
#include "hex.hpp"

#include "transport/sealed.hpp"
#include "transport/tls/tls.hpp"
#include "transport/ucx/ucx.hpp"

#include <iostream>
#include <sstream>

namespace {

using namespace skippipe::transport;

struct echo final : handler {
  endpoint* self = nullptr;
  buffer place(peer_id, std::span<const std::byte>, std::size_t size, const buffer*) override {
    return buffer::allocate(size);
  }
  void on_message(peer_id from, std::span<const std::byte> header, buffer payload) override {
    self->send(from, {header.begin(), header.end()}, std::move(payload), {});
  }
  void on_peer_lost(peer_id, std::error_code) override {}
};

std::unique_ptr<endpoint> make(const std::vector<std::string>& args) {
  const peer_id self = std::stoull(args.at(1));
  if (args.at(0) == "ucx" || args.at(0) == "sealed") {
    ucx_options options;
    options.self = self;
    if (args.at(0) == "ucx")
      return make_ucx_endpoint(options);
    options.checksum = false; // the seal covers every byte
    options.bounds = limits_below_seal(options.bounds);
    sealed_options seal;
    seal.self = self;
    for (const char c : args.at(2))
      seal.secret.push_back(static_cast<std::byte>(c));
    seal.incarnation =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    return make_sealed_endpoint(make_ucx_endpoint(options), seal);
  }
  tls_options options;
  options.self = self;
  options.ca = args.at(2);
  options.certificate = args.at(3);
  options.key = args.at(4);
  if (args.size() > 5) {
    options.listen.clear();
    options.relay = args[5];
  }
  return make_tls_endpoint(options);
}

} // namespace

int main(int argc, char** argv) {
  const auto self = make({argv + 1, argv + argc});
  echo h;
  h.self = self.get();
  if (const auto problem = self->listen(h)) {
    std::cerr << problem.message() << '\n';
    return 1;
  }
  std::cout << skippipe::transport::testing::to_hex(self->local_address()) << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, where;
    peer_id peer = 0;
    words >> verb >> peer >> where;
    self->connect(peer, skippipe::transport::testing::from_hex(where), [](std::error_code code) {
      std::cout << (code ? code.message() : "connected") << std::endl;
    });
  }
  self->close();
  return 0;
}
