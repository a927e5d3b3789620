// The conformance suite on UCX between processes, slowed down by the emulation on our side.
#include "backend.hpp"

#include "transport/emulated.hpp"
#include "transport/ucx/ucx.hpp"

namespace skippipe::transport::testing {
namespace {

class emulated_ucx_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    ucx_options below;
    below.self = self;
    below.bounds = bounds;
    emulation_options options;
    options.self = self;
    options.bounds = bounds;
    options.link = [](peer_id) { return emulated_link{0.0005, 2e9}; };
    options.interface_Bps = 4e9;
    return make_emulated_endpoint(make_ucx_endpoint(below), options, time_);
  }
  std::vector<std::string> peer_command(peer_id self) override {
    return {SKIPPIPE_BINARY_DIR "/transport_peer", "ucx", std::to_string(self)};
  }

private:
  std::shared_ptr<timer> time_ = make_real_timer();
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<emulated_ucx_world>(); }

} // namespace skippipe::transport::testing
