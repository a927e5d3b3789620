// Named tensors in one file: the safetensors format, read strictly.
#pragma once

#include "model/file_io.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::model {

/// A tensor's description and its bytes, which belong to someone else.
struct named_tensor {
  std::string name;
  std::string dtype; ///< As the format spells it: F64, F32, BF16, I64, ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes; ///< Row-major, little-endian.
};

/// Bytes of an element; 0: no such dtype.
std::size_t dtype_bytes(std::string_view dtype);

/// Writes and syncs a new file, streaming the tensors in the order given. Returns its SHA-256.
/// Throws std::runtime_error, also where a shape does not fit its bytes or a name comes twice.
std::string write_safetensors(const std::filesystem::path& path,
                              std::span<const named_tensor> tensors);

/// What the bytes of a whole file hold; the tensors point into `file`. Throws std::runtime_error
/// naming `where`. Refused are holes and overlaps, unknown dtypes, names that come twice, shapes
/// that do not fit, and anything after the last tensor.
std::vector<named_tensor> parse_safetensors(std::span<const std::byte> file,
                                            const std::filesystem::path& where);

} // namespace skippipe::model
