// The cryptography of sealed messages: AES-256-GCM, keys by HKDF-SHA256 (RFC 5869).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace skippipe::transport {

using seal_tag = std::array<std::byte, 16>;

/// Stands before the header of every sealed message, in clear and authenticated.
struct seal_prefix {
  std::uint64_t incarnation = 0;    ///< The sender's, as its node was told.
  std::uint64_t epoch = 0;          ///< Random, of the sending endpoint.
  std::uint64_t receiver_epoch = 0; ///< Of the endpoint that it is for.
  std::uint64_t counter = 0;        ///< From 1; never used twice with one key.
  seal_tag header_tag{};            ///< Of everything else in prefix and header, and of the size.
  seal_tag payload_tag{};           ///< Zero without a payload.
  friend bool operator==(const seal_prefix&, const seal_prefix&) = default;
};
inline constexpr std::size_t seal_prefix_size = 64;

std::vector<std::byte> encode(const seal_prefix& prefix);
/// From the front of a received header; nullopt when that is too short.
std::optional<seal_prefix> decode_seal(std::span<const std::byte> header);

/// Who speaks to whom, in which lives: each direction of each pair has its own key.
struct seal_parties {
  std::uint64_t sender = 0, incarnation = 0, epoch = 0;
  std::uint64_t receiver = 0, receiver_epoch = 0;
};

/// One traffic key; wiped at the end. Any thread.
class seal_key {
public:
  seal_key(std::span<const std::byte> secret, const seal_parties& parties);
  ~seal_key();
  seal_key(const seal_key&) = default;
  seal_key& operator=(const seal_key&) = default;

  /// Encrypts `payload` into `out` (of the same size) and returns prefix and header as they go out.
  /// `prefix.counter` must be fresh. Throws std::runtime_error when OpenSSL fails.
  std::vector<std::byte> seal(seal_prefix prefix, std::span<const std::byte> header,
                              std::span<const std::byte> payload, std::span<std::byte> out) const;

  /// Whether prefix and header are genuine, and belong to a payload of `size` bytes.
  bool opens_header(const seal_prefix& prefix, std::span<const std::byte> header,
                    std::size_t size) const;
  /// Decrypts in place; false when it is not the payload of this header.
  bool opens_payload(const seal_prefix& prefix, std::span<const std::byte> header,
                     std::span<std::byte> payload) const;

private:
  std::array<unsigned char, 32> key_{};
};

} // namespace skippipe::transport
