// Token files, safetensors and manifests. The first byte says which.
#include "model/checkpoint_manifest.hpp"
#include "model/hash.hpp"
#include "model/safetensors.hpp"
#include "model/token_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

using namespace skippipe::model;

namespace {

void must(bool holds) {
  if (!holds)
    std::abort();
}

/// Every refusal is one line.
template <class F>
void one_line_or_well(F action) {
  try {
    action();
  } catch (const std::runtime_error& error) {
    const std::string line = error.what();
    must(!line.empty() && line.find('\n') == std::string::npos);
  }
}

/// Through a file in memory; with `mend` the checksums are made to fit, so that what lies behind
/// them is reached too.
void read_tokens(std::span<const std::byte> input, bool mend) {
  std::string bytes(reinterpret_cast<const char*>(input.data()), input.size());
  constexpr std::size_t header = 48, content_sum = 32, header_sum = 40;
  if (mend && bytes.size() >= header) {
    const auto content = hash_bytes(bytes.data() + header, bytes.size() - header);
    std::memcpy(bytes.data() + content_sum, &content, 8);
    const auto head = hash_bytes(bytes.data(), header_sum);
    std::memcpy(bytes.data() + header_sum, &head, 8);
  }
  static const int file = ::memfd_create("tokens", 0);
  must(::ftruncate(file, 0) == 0);
  must(::pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  one_line_or_well([] {
    const token_file tokens{"/proc/self/fd/" + std::to_string(file)};
    for (std::uint64_t i = 0; i < tokens.size(); ++i)
      must(tokens[i] >= 0 && tokens[i] < tokens.vocab());
  });
}

void read_safetensors(std::span<const std::byte> bytes) {
  one_line_or_well([&] {
    std::size_t sum = 0;
    for (const auto& tensor : parse_safetensors(bytes, "file")) {
      std::size_t size = dtype_bytes(tensor.dtype);
      for (const auto extent : tensor.shape)
        size *= static_cast<std::size_t>(extent);
      must(size == tensor.bytes.size());
      must(tensor.bytes.data() >= bytes.data());
      must(tensor.bytes.data() + size <= bytes.data() + bytes.size());
      sum += size;
    }
    must(sum <= bytes.size());
  });
}

void read_manifest(std::string_view text) {
  one_line_or_well([&] {
    const auto manifest = decode_manifest(text, "manifest.json");
    must(decode_manifest(encode_manifest(manifest), "again") == manifest);
  });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
    case 1:
      read_tokens(bytes, data[0] % 4 == 1);
      break;
    case 2:
      read_safetensors(bytes);
      break;
    default:
      read_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return 0;
}
