// The conformance suite on sealed messages in process.
#include "backend.hpp"

#include "transport/loopback.hpp"
#include "transport/sealed.hpp"

namespace skippipe::transport::testing {
namespace {

class sealed_loopback_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    sealed_options options;
    options.self = self;
    options.incarnation = ++lives_;
    options.secret.assign(32, std::byte{7});
    return make_sealed_endpoint(hub_.make_endpoint(self, limits_below_seal(bounds)), options);
  }

private:
  loopback_hub hub_;
  std::uint64_t lives_ = 0;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<sealed_loopback_world>(); }

} // namespace skippipe::transport::testing
