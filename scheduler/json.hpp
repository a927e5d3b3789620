// A strict JSON reader that remembers where every value stands; standard library only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::scheduler {

/// A parsed document: values in one flat array, children of a value side by side. Objects hold
/// their keys and values alternately. RFC 8259, and stricter: no duplicate keys, valid UTF-8,
/// finite numbers, limited depth and size.
class json_document {
public:
  enum class kind : std::uint8_t { null, boolean, number, string, array, object };

  struct value {
    kind type = kind::null;
    bool exact = true;                  ///< False for an integer that is too large for `number`.
    std::uint32_t line = 0, column = 0; ///< From 1; the column counts bytes.
    std::uint32_t first = 0;            ///< First child, or the string's index.
    std::uint32_t count = 0;            ///< Children; for objects twice the members.
    double number = 0;                  ///< Also 1 for true.
  };

  static constexpr std::size_t max_bytes = std::size_t{512} << 20;
  static constexpr std::uint32_t max_depth = 32;
  static constexpr double least_inexact =
      9007199254740992; ///< 2^53; it and the next read the same.

  /// The document, or in `problem` one line "line:column: what is wrong".
  static std::optional<json_document> parse(std::string_view text, std::string& problem);

  const value& root() const { return values_.back(); }
  const value& child(const value& parent, std::uint32_t i) const {
    return values_[parent.first + i];
  }
  const std::string& text(const value& v) const { return strings_[v.first]; }
  /// The member named `key` of an object, or nullptr.
  const value* find(const value& object, std::string_view key) const;

private:
  friend class json_parser;
  std::vector<value> values_;
  std::vector<std::string> strings_;
};

/// `text` as a JSON string, with its quotes.
std::string json_quote(std::string_view text);

/// The shortest decimal that reads back as the same double.
std::string json_number(double value);

} // namespace skippipe::scheduler
