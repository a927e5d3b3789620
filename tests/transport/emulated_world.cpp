// The conformance suite on a loopback hub slowed down by the emulation.
#include "backend.hpp"

#include "transport/emulated.hpp"
#include "transport/loopback.hpp"

namespace skippipe::transport::testing {
namespace {

class emulated_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    emulation_options options;
    options.self = self;
    options.bounds = bounds;
    options.link = [](peer_id) { return emulated_link{0.0005, 2e9}; };
    options.interface_Bps = 4e9;
    return make_emulated_endpoint(hub_.make_endpoint(self, bounds), options, time_);
  }

private:
  std::shared_ptr<timer> time_ = make_real_timer();
  loopback_hub hub_;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<emulated_world>(); }

} // namespace skippipe::transport::testing
