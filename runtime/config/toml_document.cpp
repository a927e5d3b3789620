#include "runtime/config/toml_document.hpp"

#include "model/file_io.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace skippipe::runtime {

namespace fs = std::filesystem;

namespace {

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

/// How a value looks in a message: short.
std::string shown(const toml::node& node) {
  if (node.is_table())
    return "a table";
  if (node.is_array())
    return "an array";
  std::ostringstream out;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>)
      out << value;
  });
  auto text = out.str();
  if (text.size() > 40)
    text = text.substr(0, 37) + "...";
  return text;
}

config_problem at(const std::string& fallback, const toml::source_region& region,
                  std::string text) {
  return {region.path ? *region.path : fallback, region.begin.line, region.begin.column,
          std::move(text)};
}

/// Without "..", but where a symbolic link makes another place of it.
fs::path tidied(const fs::path& path) {
  const auto tidy = path.lexically_normal();
  std::error_code problem;
  const auto meant = fs::weakly_canonical(path, problem);
  return !problem && fs::weakly_canonical(tidy, problem) == meant && !problem ? tidy : path;
}

/// Puts `from` over `into`, table by table; a copied node would forget its place.
void overlay(toml::table& into, toml::table&& from) {
  for (auto&& [key, value] : from) {
    auto* below = into.get_as<toml::table>(key.str());
    if (below != nullptr && value.is_table())
      overlay(*below, std::move(*value.as_table()));
    else
      into.insert_or_assign(key, std::move(value));
  }
}

} // namespace

std::optional<toml_document> toml_document::parse(std::string_view text, const std::string& name,
                                                  problem_list& problems) {
  try {
    toml_document result;
    result.root_ = toml::parse(text, name);
    result.name_ = name;
    return result;
  } catch (const toml::parse_error& error) {
    problems.add(at(name, error.source(), "not TOML: " + std::string{error.description()}));
    return std::nullopt;
  }
}

std::optional<toml_document> toml_document::load(const fs::path& file, problem_list& problems) {
  try {
    return parse(model::read_text(file), file.string(), problems);
  } catch (const std::runtime_error& error) {
    // The message starts with the file's name already.
    auto text = std::string{error.what()};
    const auto prefix = file.string() + ": ";
    problems.add(
        {file.string(), 0, 0, text.starts_with(prefix) ? text.substr(prefix.size()) : text});
    return std::nullopt;
  }
}

bool toml_document::override_key(const std::string& assignment, problem_list& problems) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    problems.add({override_place, 0, 0, "expected key=value, got '" + assignment + "'"});
    return false;
  }
  const auto place = std::string{override_place} + " " + assignment;
  problem_list first;
  auto over = parse(assignment, place, first);
  if (!over) // A bare word stands for a string.
    over = parse(assignment.substr(0, equals + 1) + "'" + assignment.substr(equals + 1) + "'",
                 place, problems);
  if (!over)
    return false;
  overlay(root_, std::move(over->root_));
  return true;
}

table_reader::table_reader(const toml_document& document, const std::string& path,
                           problem_list& problems)
    : document_(document), path_(path), problems_(problems) {
  if (path.empty()) {
    table_ = &document.root();
    return;
  }
  const auto* node = document.root().get(path);
  if (node == nullptr)
    return;
  table_ = node->as_table();
  if (table_ == nullptr)
    complain_at(*node, path + ": expected a table, got " + shown(*node));
}

std::string table_reader::full_name(std::string_view key) const {
  return path_.empty() ? std::string{key} : path_ + "." + std::string{key};
}

bool table_reader::has(std::string_view key) const {
  return table_ != nullptr && table_->contains(key);
}

const toml::node* table_reader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

void table_reader::complain_at(const toml::node& node, const std::string& what) {
  problems_.add(at(document_.name(), node.source(), what));
}

void table_reader::complain(std::string_view key, const std::string& what) {
  const auto text = full_name(key) + ": " + what;
  if (const auto* node = table_ == nullptr ? nullptr : table_->get(key))
    complain_at(*node, text);
  else if (table_ != nullptr && !path_.empty())
    complain_at(*table_, text);
  else
    problems_.add({document_.name(), 0, 0, text});
}

bool table_reader::boolean(std::string_view key, bool& out) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  if (const auto* value = node->as_boolean()) {
    out = value->get();
    return true;
  }
  complain(key, "expected true or false, got " + shown(*node));
  return false;
}

bool table_reader::text(std::string_view key, std::string& out) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  if (const auto* value = node->as_string()) {
    out = value->get();
    return true;
  }
  complain(key, "expected a string, got " + shown(*node));
  return false;
}

bool table_reader::path(std::string_view key, fs::path& out) {
  std::string value;
  if (!text(key, value))
    return false;
  if (value.empty()) {
    complain(key, "expected a path, got ''");
    return false;
  }
  out = value;
  if (out.is_relative())
    out = tidied(fs::path{document_.name()}.parent_path() / out);
  return true;
}

bool table_reader::choice(std::string_view key, std::string& out,
                          const std::vector<std::string>& choices) {
  std::string value;
  if (!text(key, value))
    return false;
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    std::string all;
    for (const auto& name : choices)
      all += (all.empty() ? "" : ", ") + name;
    const auto near = nearest_name(value, choices);
    complain(key, "expected one of " + all + ", got '" + value + "'"
                      + (near.empty() ? "" : ", did you mean '" + near + "'?"));
    return false;
  }
  out = value;
  return true;
}

bool table_reader::read_integer(std::string_view key, std::int64_t& out, std::int64_t least,
                                std::int64_t most) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < least || value->get() > most) {
    complain(key, "expected an integer in " + std::to_string(least) + ".." + std::to_string(most)
                      + ", got " + shown(*node));
    return false;
  }
  out = value->get();
  return true;
}

bool table_reader::number(std::string_view key, double& out, double least, double most) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= least && *value <= most)) {
    complain(key,
             "expected a number in " + shown(least) + ".." + shown(most) + ", got " + shown(*node));
    return false;
  }
  out = *value;
  return true;
}

bool table_reader::integers(std::string_view key, std::vector<std::uint32_t>& out,
                            std::int64_t least, std::int64_t most) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  std::vector<std::uint32_t> values;
  if (const auto* array = node->as_array())
    for (const auto& item : *array) {
      const auto* value = item.as_integer();
      if (value == nullptr || value->get() < least || value->get() > most) {
        complain_at(item, full_name(key) + ": expected integers in " + std::to_string(least) + ".."
                              + std::to_string(most) + ", got " + shown(item));
        return false;
      }
      values.push_back(static_cast<std::uint32_t>(value->get()));
    }
  else {
    complain(key, "expected an array of integers, got " + shown(*node));
    return false;
  }
  out = std::move(values);
  return true;
}

bool table_reader::texts(std::string_view key, std::vector<std::string>& out) {
  const auto* node = find(key);
  if (node == nullptr)
    return false;
  std::vector<std::string> values;
  const auto* array = node->as_array();
  if (array == nullptr) {
    complain(key, "expected an array of strings, got " + shown(*node));
    return false;
  }
  for (const auto& item : *array) {
    if (!item.is_string()) {
      complain_at(item, full_name(key) + ": expected strings, got " + shown(item));
      return false;
    }
    values.push_back(item.as_string()->get());
  }
  out = std::move(values);
  return true;
}

void table_reader::finish() {
  if (table_ == nullptr)
    return;
  for (const auto& [key, value] : *table_) {
    const std::string name{key.str()};
    if (std::find(known_.begin(), known_.end(), name) != known_.end())
      continue;
    const auto near = nearest_name(name, known_);
    auto text = (path_.empty() ? std::string{} : path_ + ": ") + "unknown key '" + name + "'"
                + (near.empty() ? "" : ", did you mean '" + near + "'?");
    problems_.add(at(document_.name(), key.source(), std::move(text)));
  }
}

} // namespace skippipe::runtime
