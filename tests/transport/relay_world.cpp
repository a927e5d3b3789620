// The conformance suite on nodes that only dial out: every connection goes through a relay.
#include "backend.hpp"
#include "certificates.hpp"

#include "transport/tls/relay.hpp"

#include <stdexcept>

namespace skippipe::transport::testing {
namespace {

class relay_world final : public world {
public:
  relay_world() {
    relay_ = make_tls_relay(options_for("relay"));
    if (relay_->listen())
      throw std::runtime_error("the relay does not listen");
  }
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    tls_options options = options_for("node-" + std::to_string(self));
    options.self = self;
    options.bounds = bounds;
    options.listen.clear();
    options.relay = relay_->address();
    options.streams = 3;
    return make_tls_endpoint(options);
  }
  std::vector<std::string> peer_command(peer_id self) override {
    const tls_options o = options_for("node-" + std::to_string(self));
    return {SKIPPIPE_BINARY_DIR "/transport_peer",
            "tls",
            std::to_string(self),
            o.ca,
            o.certificate,
            o.key,
            relay_->address()};
  }

private:
  static tls_options options_for(const std::string& name) {
    static const test_ca ca;
    const key_files files = ca.issue(name);
    tls_options options;
    options.ca = files.ca;
    options.certificate = files.certificate;
    options.key = files.key;
    options.allow = [](peer_id peer, const std::string& holder) {
      return holder == "node-" + std::to_string(peer);
    };
    return options;
  }
  std::unique_ptr<tls_relay> relay_;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<relay_world>(); }

} // namespace skippipe::transport::testing
