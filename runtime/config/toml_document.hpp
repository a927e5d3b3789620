// A strict reader over toml++: every problem with its place, unknown keys by name.
#pragma once

#include "runtime/config/problems.hpp"

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::runtime {

/// A parsed file, with `--set key=value` overrides on top.
class toml_document {
public:
  /// nullopt, with the reason in `problems`, where the text is not TOML.
  static std::optional<toml_document> load(const std::filesystem::path& file,
                                           problem_list& problems);
  static std::optional<toml_document> parse(std::string_view text, const std::string& name,
                                            problem_list& problems);
  /// "a.b=value"; the value as TOML, or a bare word for a string.
  bool override_key(const std::string& assignment, problem_list& problems);

  const toml::table& root() const { return root_; }
  const std::string& name() const { return name_; }

private:
  toml::table root_;
  std::string name_;
};

/// Reads the keys of one table. A key that is absent leaves its default; one of another type or out
/// of range is a problem. finish() reports every key that nothing asked for.
class table_reader {
public:
  /// `path`: the table's name, empty for the root. An absent table reads as empty.
  table_reader(const toml_document& document, const std::string& path, problem_list& problems);

  bool has(std::string_view key) const;
  bool boolean(std::string_view key, bool& out);
  bool text(std::string_view key, std::string& out);
  /// A path that is not empty; a relative one is beside the document's file.
  bool path(std::string_view key, std::filesystem::path& out);
  /// One of `choices`.
  bool choice(std::string_view key, std::string& out, const std::vector<std::string>& choices);
  template <class Integer>
  bool integer(std::string_view key, Integer& out, std::int64_t least, std::int64_t most) {
    std::int64_t value = 0;
    if (!read_integer(key, value, least, most))
      return false;
    out = static_cast<Integer>(value);
    return true;
  }
  /// A number in [least, most]; integers are taken too.
  bool number(std::string_view key, double& out, double least, double most);
  bool integers(std::string_view key, std::vector<std::uint32_t>& out, std::int64_t least,
                std::int64_t most);
  bool texts(std::string_view key, std::vector<std::string>& out);
  void finish();

  /// A problem at the key's place (the table's, or the file's, where the key is absent).
  void complain(std::string_view key, const std::string& what);
  /// A table that only names what it holds freely (nothing to check); marks it as known.
  void accept(std::string_view key) { known_.emplace_back(key); }

private:
  const toml::node* find(std::string_view key);
  bool read_integer(std::string_view key, std::int64_t& out, std::int64_t least, std::int64_t most);
  std::string full_name(std::string_view key) const;
  void complain_at(const toml::node& node, const std::string& what);

  const toml_document& document_;
  std::string path_;
  problem_list& problems_;
  const toml::table* table_ = nullptr;
  std::vector<std::string> known_;
};

} // namespace skippipe::runtime
