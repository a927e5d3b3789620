#include "model/safetensors.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>
#include <stdexcept>
#include <utility>

namespace skippipe::model {

namespace {

using json = nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t header_limit = 100'000'000; // The format's own limit.
constexpr const char* metadata_key = "__metadata__";

constexpr std::array<std::pair<std::string_view, std::size_t>, 13> dtypes = {{
    {"F64", 8},
    {"F32", 4},
    {"F16", 2},
    {"BF16", 2},
    {"I64", 8},
    {"I32", 4},
    {"I16", 2},
    {"I8", 1},
    {"U64", 8},
    {"U32", 4},
    {"U16", 2},
    {"U8", 1},
    {"BOOL", 1},
}};

[[noreturn]] void fail(const std::filesystem::path& where, const std::string& what) {
  throw std::runtime_error(where.string() + ": " + what
                           + "; use another copy of the file or another checkpoint");
}

/// Bytes of a tensor; false where a dimension is negative or the product overflows.
bool size_of(std::size_t element, const std::vector<std::int64_t>& shape, std::uint64_t& size) {
  size = element;
  for (const auto dimension : shape) {
    const auto n = static_cast<std::uint64_t>(dimension);
    if (dimension < 0 || (n != 0 && size > std::numeric_limits<std::uint64_t>::max() / n))
      return false;
    size *= n;
  }
  return true;
}

/// A name in a message: hostile ones must not break its one line.
std::string in_quotes(const std::string& name) {
  return json(name.substr(0, 80)).dump(-1, ' ', true, json::error_handler_t::replace);
}

/// The header as JSON; a key that comes twice is an error, which plain parsing would hide.
json parse_header(std::string_view text, const std::filesystem::path& where) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == json::parse_event_t::object_end && !keys.empty())
      keys.pop_back();
    else if (event == json::parse_event_t::key && !keys.empty()
             && !keys.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  auto header = json::parse(text, watch, false);
  if (text.empty() || text.front() != '{' || !header.is_object())
    fail(where, "the safetensors header is not a JSON object");
  if (!twice.empty())
    fail(where, "the key " + in_quotes(twice) + " comes twice");
  return header;
}

void check_metadata(const json& metadata, const std::filesystem::path& where) {
  const bool strings = metadata.is_object()
                       && std::all_of(metadata.begin(), metadata.end(),
                                      [](const json& value) { return value.is_string(); });
  if (!strings)
    fail(where, "the metadata is not a map of strings");
}

bool is_number(const json& value) {
  return value.is_number_unsigned()
         && value.get<std::uint64_t>()
                <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

named_tensor parse_tensor(const std::string& name, const json& described,
                          std::span<const std::byte> content, const std::filesystem::path& where) {
  const auto wrong = [&](const std::string& what) {
    fail(where, "tensor " + in_quotes(name) + " " + what);
  };
  if (!described.is_object() || described.size() != 3 || !described.contains("dtype")
      || !described.contains("shape") || !described.contains("data_offsets"))
    wrong("needs exactly dtype, shape and data_offsets");
  const auto &dtype = described["dtype"], &shape = described["shape"],
             &offsets = described["data_offsets"];
  if (!dtype.is_string() || dtype_bytes(dtype.get_ref<const std::string&>()) == 0)
    wrong("has an unknown dtype");
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), is_number))
    wrong("has a shape that is not a list of sizes");
  if (!offsets.is_array() || offsets.size() != 2 || !is_number(offsets[0])
      || !is_number(offsets[1]))
    wrong("has data_offsets that are not two numbers");
  named_tensor result{name, dtype, shape, {}};
  const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  if (begin > end || end > content.size())
    wrong("lies outside the file, which may be truncated");
  std::uint64_t size = 0;
  if (!size_of(dtype_bytes(result.dtype), result.shape, size) || size != end - begin)
    wrong("has a shape that does not fit its bytes");
  result.bytes = content.subspan(begin, size);
  return result;
}

} // namespace

std::size_t dtype_bytes(std::string_view dtype) {
  for (const auto& [name, bytes] : dtypes)
    if (name == dtype)
      return bytes;
  return 0;
}

std::string write_safetensors(const std::filesystem::path& path,
                              std::span<const named_tensor> tensors) {
  nlohmann::ordered_json header = {{metadata_key, {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    std::uint64_t size = 0;
    if (tensor.name == metadata_key || header.contains(tensor.name)
        || dtype_bytes(tensor.dtype) == 0 || !size_of(dtype_bytes(tensor.dtype), tensor.shape, size)
        || size != tensor.bytes.size())
      fail(path, "tensor " + in_quotes(tensor.name) + " cannot be written as described");
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  auto text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' '); // So that the tensors are aligned when mapped.
  std::array<std::byte, length_bytes> length{};
  const std::uint64_t size = text.size();
  std::memcpy(length.data(), &size, sizeof size);

  output_file file{path};
  sha256_sum sum;
  const auto write = [&](std::span<const std::byte> bytes) {
    sum.add(bytes);
    file.write(bytes);
  };
  write(length);
  write(std::as_bytes(std::span{text}));
  // Hashed and written in pieces that stay in the cache between the two.
  constexpr std::size_t piece = 1 << 20;
  for (const auto& tensor : tensors)
    for (auto rest = tensor.bytes; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
      write(rest.first(std::min(piece, rest.size())));
  file.finish();
  return sum.hex();
}

std::vector<named_tensor> parse_safetensors(std::span<const std::byte> file,
                                            const std::filesystem::path& where) {
  std::uint64_t length = 0;
  if (file.size() < length_bytes)
    fail(where, "too short for a safetensors file");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > header_limit || length > file.size() - length_bytes)
    fail(where, "not a safetensors file, or a truncated one");
  const std::string_view text{reinterpret_cast<const char*>(file.data()) + length_bytes,
                              static_cast<std::size_t>(length)};
  const auto header = parse_header(text, where);
  const auto content = file.subspan(length_bytes + length);
  std::vector<named_tensor> tensors;
  for (const auto& [name, described] : header.items()) {
    if (name == metadata_key)
      check_metadata(described, where);
    else
      tensors.push_back(parse_tensor(name, described, content, where));
  }
  // Empty tensors share an address with their successor: they come first.
  std::sort(tensors.begin(), tensors.end(), [](const named_tensor& a, const named_tensor& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  const auto* at = content.data();
  for (const auto& tensor : tensors) {
    if (tensor.bytes.data() != at)
      fail(where,
           "tensor " + in_quotes(tensor.name) + " overlaps another or leaves a hole before it");
    at += tensor.bytes.size();
  }
  if (at != content.data() + content.size())
    fail(where, "bytes follow the last tensor");
  return tensors;
}

} // namespace skippipe::model
