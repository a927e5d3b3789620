// The wire decoder on arbitrary bytes.
#include "actors/protocol/codec.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace skippipe::actors;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  if (const auto message = decode({bytes, size}))
    if (!decode(encode(message->from, message->message)))
      std::abort();
  return 0;
}
