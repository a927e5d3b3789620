// Encrypts payloads and authenticates headers on top of any transport: for jobs whose tensors must not
// be read or changed by whoever shares the network.
//
// Headers travel in clear, as the associated data of their payload. Every message carries a counter that
// is never used twice under a key, and the receiver accepts each once: a repeated message, one for an
// earlier life of the receiver or from an earlier life of the sender is dropped and reported to `log`;
// one that is not genuine loses the peer. It does not replace the trust that `ucx` needs of its network:
// UCX's own protocol can be spoken by whoever reaches its port.
//
// Payloads are encrypted on the sender's thread, into memory of their own, and decrypted in place where
// `place` put them: small ones on the wrapped endpoint's progress thread, large ones beside it.
#pragma once

#include "transport/transport.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace skippipe::transport {

struct sealed_options {
  peer_id self = 0;
  std::uint64_t incarnation = 0; ///< Of this node; a later life has a greater one.
  std::vector<std::byte> secret; ///< The job's, at least 16 bytes; all its nodes have it.
  /// 0: random, and told to others in the address. Else agreed upon: then no endpoint may ever use the
  /// secret a second time.
  std::uint64_t epoch = 0;
  /// Told of what was dropped, in one line. Called as a callback of the endpoint.
  std::function<void(peer_id peer, std::string_view line)> log;
};

/// What the wrapped endpoint must allow so that `bounds` hold for the messages inside.
limits limits_below_seal(limits bounds);

/// The address of a sealed endpoint whose incarnation and epoch are known, over the wrapped one's.
address sealed_address(address inner, std::uint64_t incarnation, std::uint64_t epoch);

/// Addresses of a sealed endpoint work with sealed endpoints only; they name the receiver's life.
std::unique_ptr<endpoint> make_sealed_endpoint(std::unique_ptr<endpoint> inner,
                                               sealed_options options);

} // namespace skippipe::transport
