#include "transport/seal.hpp"

#include "transport/wire_codec.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace skippipe::transport {

namespace {

struct evp_deleter {
  void operator()(EVP_CIPHER_CTX* c) const noexcept { EVP_CIPHER_CTX_free(c); }
  void operator()(EVP_CIPHER* c) const noexcept { EVP_CIPHER_free(c); }
  void operator()(EVP_KDF* k) const noexcept { EVP_KDF_free(k); }
  void operator()(EVP_KDF_CTX* k) const noexcept { EVP_KDF_CTX_free(k); }
};
using unique_cipher_context = std::unique_ptr<EVP_CIPHER_CTX, evp_deleter>;

/// The two halves of a message are encrypted under one counter; the nonce's first bytes tell them apart.
enum class part : unsigned char { header = 0, payload = 1 };

[[noreturn]] void fail() { throw std::runtime_error("AES-256-GCM failed; check OpenSSL"); }

const EVP_CIPHER* cipher() {
  static const std::unique_ptr<EVP_CIPHER, evp_deleter> aes(
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  return aes.get();
}

/// A context of this thread, ready for one half of one message.
EVP_CIPHER_CTX* begin(const unsigned char* key, part which, std::uint64_t counter, bool encrypt) {
  thread_local const unique_cipher_context context(EVP_CIPHER_CTX_new());
  unsigned char nonce[12] = {static_cast<unsigned char>(which)};
  for (int i = 0; i < 8; ++i)
    nonce[4 + i] = static_cast<unsigned char>(counter >> (8 * i));
  if (context == nullptr || cipher() == nullptr
      || EVP_CipherInit_ex(context.get(), cipher(), nullptr, key, nonce, encrypt ? 1 : 0) != 1)
    fail();
  return context.get();
}

/// `out` null: associated data.
void update(EVP_CIPHER_CTX* context, std::span<const std::byte> in, std::byte* out) {
  constexpr std::size_t step = std::size_t{1} << 30; // OpenSSL counts in int
  while (!in.empty()) {
    const auto piece = in.first(std::min(step, in.size()));
    int written = 0;
    if (EVP_CipherUpdate(context, reinterpret_cast<unsigned char*>(out), &written,
                         reinterpret_cast<const unsigned char*>(piece.data()),
                         static_cast<int>(piece.size()))
        != 1)
      fail();
    in = in.subspan(piece.size());
    if (out != nullptr)
      out += piece.size();
  }
}

seal_tag finish(EVP_CIPHER_CTX* context) {
  unsigned char nothing[16];
  int written = 0;
  seal_tag tag;
  if (EVP_CipherFinal_ex(context, nothing, &written) != 1
      || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag.size(), tag.data()) != 1)
    fail();
  return tag;
}

bool matches(EVP_CIPHER_CTX* context, seal_tag tag) {
  unsigned char nothing[16];
  int written = 0;
  if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag.size(), tag.data()) != 1)
    fail();
  return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

/// Prefix without tags, and the payload's size.
std::vector<std::byte> claims(const seal_prefix& prefix, std::size_t size) {
  std::vector<std::byte> bytes;
  bytes.reserve(40);
  field_writer(bytes)
      .put(prefix.incarnation)
      .put(prefix.epoch)
      .put(prefix.receiver_epoch)
      .put(prefix.counter)
      .put(static_cast<std::uint64_t>(size));
  return bytes;
}

void authenticate_header(EVP_CIPHER_CTX* context, const seal_prefix& prefix,
                         std::span<const std::byte> header, std::size_t size) {
  update(context, claims(prefix, size), nullptr);
  update(context, prefix.payload_tag, nullptr);
  update(context, header, nullptr);
}

} // namespace

std::vector<std::byte> encode(const seal_prefix& prefix) {
  auto bytes = claims(prefix, 0);
  bytes.resize(32);
  bytes.insert(bytes.end(), prefix.header_tag.begin(), prefix.header_tag.end());
  bytes.insert(bytes.end(), prefix.payload_tag.begin(), prefix.payload_tag.end());
  return bytes;
}

std::optional<seal_prefix> decode_seal(std::span<const std::byte> header) {
  field_reader in(header);
  seal_prefix prefix;
  prefix.incarnation = in.take<std::uint64_t>();
  prefix.epoch = in.take<std::uint64_t>();
  prefix.receiver_epoch = in.take<std::uint64_t>();
  prefix.counter = in.take<std::uint64_t>();
  if (!in.ok() || header.size() < seal_prefix_size)
    return std::nullopt;
  std::memcpy(prefix.header_tag.data(), header.data() + 32, 16);
  std::memcpy(prefix.payload_tag.data(), header.data() + 48, 16);
  return prefix;
}

seal_key::seal_key(std::span<const std::byte> secret, const seal_parties& parties) {
  static const std::unique_ptr<EVP_KDF, evp_deleter> hkdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, evp_deleter> context(EVP_KDF_CTX_new(hkdf.get()));
  std::vector<std::byte> info;
  field_writer(info)
      .put(parties.sender)
      .put(parties.incarnation)
      .put(parties.epoch)
      .put(parties.receiver)
      .put(parties.receiver_epoch);
  char digest[] = "SHA256";
  char salt[] = "skippipe sealed payload 1";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt - 1),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end()};
  if (context == nullptr
      || EVP_KDF_derive(context.get(), key_.data(), key_.size(), parameters) != 1)
    throw std::runtime_error("HKDF failed; check OpenSSL");
}

seal_key::~seal_key() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::vector<std::byte> seal_key::seal(seal_prefix prefix, std::span<const std::byte> header,
                                      std::span<const std::byte> payload,
                                      std::span<std::byte> out) const {
  prefix.payload_tag = {};
  if (!payload.empty()) {
    auto* context = begin(key_.data(), part::payload, prefix.counter, true);
    update(context, claims(prefix, payload.size()), nullptr);
    update(context, header, nullptr);
    update(context, payload, out.data());
    prefix.payload_tag = finish(context);
  }
  auto* context = begin(key_.data(), part::header, prefix.counter, true);
  authenticate_header(context, prefix, header, payload.size());
  prefix.header_tag = finish(context);
  auto bytes = encode(prefix);
  bytes.insert(bytes.end(), header.begin(), header.end());
  return bytes;
}

bool seal_key::opens_header(const seal_prefix& prefix, std::span<const std::byte> header,
                            std::size_t size) const {
  try {
    auto* context = begin(key_.data(), part::header, prefix.counter, false);
    authenticate_header(context, prefix, header, size);
    return matches(context, prefix.header_tag);
  } catch (const std::runtime_error&) {
    return false;
  }
}

bool seal_key::opens_payload(const seal_prefix& prefix, std::span<const std::byte> header,
                             std::span<std::byte> payload) const {
  try {
    auto* context = begin(key_.data(), part::payload, prefix.counter, false);
    update(context, claims(prefix, payload.size()), nullptr);
    update(context, header, nullptr);
    update(context, payload, payload.data());
    return matches(context, prefix.payload_tag);
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace skippipe::transport
