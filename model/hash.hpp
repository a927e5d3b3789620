// 64-bit hashes that are equal on every little-endian machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace skippipe::model {

/// Fast; for memory and file contents.
std::uint64_t hash_bytes(const void* data, std::size_t size);

/// FNV-1a; for names.
constexpr std::uint64_t name_hash(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : name)
    h = (h ^ c) * 0x100000001b3ULL;
  return h;
}

/// splitmix64's finaliser: a bijection whose output bits all depend on all input bits.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

} // namespace skippipe::model
