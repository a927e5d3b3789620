// The conformance suite on UCX over tcp.
#include "backend.hpp"

#include "transport/ucx/ucx.hpp"

namespace skippipe::transport::testing {
namespace {

class ucx_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    ucx_options options;
    options.self = self;
    options.bounds = bounds;
    return make_ucx_endpoint(options);
  }
  std::vector<std::string> peer_command(peer_id self) override {
    return {SKIPPIPE_BINARY_DIR "/transport_peer", "ucx", std::to_string(self)};
  }
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<ucx_world>(); }

} // namespace skippipe::transport::testing
