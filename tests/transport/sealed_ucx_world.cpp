// The conformance suite on sealed messages over UCX.
#include "backend.hpp"

#include "transport/sealed.hpp"
#include "transport/ucx/ucx.hpp"

namespace skippipe::transport::testing {
namespace {

const std::string secret = "the secret of a job under test";

class sealed_ucx_world final : public world {
public:
  std::unique_ptr<endpoint> make(peer_id self, const limits& bounds) override {
    ucx_options below;
    below.self = self;
    below.checksum = false; // the seal covers every byte
    below.bounds = limits_below_seal(bounds);
    sealed_options options;
    options.self = self;
    options.incarnation = ++lives_;
    for (const char c : secret)
      options.secret.push_back(static_cast<std::byte>(c));
    return make_sealed_endpoint(make_ucx_endpoint(below), options);
  }
  std::vector<std::string> peer_command(peer_id self) override {
    return {SKIPPIPE_BINARY_DIR "/transport_peer", "sealed", std::to_string(self), secret};
  }

private:
  std::uint64_t lives_ = 0;
};

} // namespace

std::unique_ptr<world> make_world() { return std::make_unique<sealed_ucx_world>(); }

} // namespace skippipe::transport::testing
