// The conformance suite on the in-process hub.
#include "backend.hpp"

#include "transport/loopback.hpp"

namespace skippipe::transport::testing {
namespace {

class loopback_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    return hub_.make_endpoint(self, bounds);
  }

private:
  loopback_hub hub_;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<loopback_world>(); }

} // namespace skippipe::transport::testing
