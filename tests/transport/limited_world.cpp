// The conformance suite on a loopback hub whose endpoints may send 2 GB/s.
#include "backend.hpp"

#include "transport/limited.hpp"
#include "transport/loopback.hpp"

namespace skippipe::transport::testing {
namespace {

class limited_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    return make_limited_endpoint(hub_.make_endpoint(self, bounds),
                                 std::make_shared<token_bucket>(2e9), time_, bounds);
  }

private:
  std::shared_ptr<timer> time_ = make_real_timer();
  loopback_hub hub_;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<limited_world>(); }

} // namespace skippipe::transport::testing
