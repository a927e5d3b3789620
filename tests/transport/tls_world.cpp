// The conformance suite on mutual TLS over loopback sockets.
#include "backend.hpp"
#include "certificates.hpp"

#include "transport/tls/tls.hpp"

namespace skippipe::transport::testing {
namespace {

class tls_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    const key_files files = issue(self);
    tls_options options;
    options.self = self;
    options.bounds = bounds;
    options.ca = files.ca;
    options.certificate = files.certificate;
    options.key = files.key;
    options.streams = 3;
    options.allow = [](peer_id peer, const std::string& holder) {
      return holder == "node-" + std::to_string(peer);
    };
    return make_tls_endpoint(options);
  }
  std::vector<std::string> peer_command(peer_id self) override {
    const key_files files = issue(self);
    return {SKIPPIPE_BINARY_DIR "/transport_peer",
            "tls",
            std::to_string(self),
            files.ca,
            files.certificate,
            files.key};
  }

private:
  static key_files issue(peer_id self) {
    static const test_ca ca;
    return ca.issue("node-" + std::to_string(self));
  }
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<tls_world>(); }

} // namespace skippipe::transport::testing
