#include "runtime/config/job_text.hpp"

#include "runtime/config/toml_document.hpp"

#include <map>
#include <set>
#include <sstream>

namespace skippipe::runtime {

namespace {

using settings = std::map<std::string, std::string>;

template <class Value>
std::string printed(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void add(const toml::table& table, const std::string& path, settings& to) {
  for (const auto& [key, node] : table) {
    const auto name = path + std::string{key.str()};
    if (const auto* below = node.as_table())
      add(*below, name + ".", to);
    else
      node.visit([&](const auto& value) { to[name] = printed(value); });
  }
}

std::optional<settings> settings_in(const std::string& text) {
  problem_list ignored;
  const auto document = toml_document::parse(text, "", ignored);
  if (!document)
    return std::nullopt;
  settings result;
  add(document->root(), "", result);
  result.erase("data.dir");
  return result;
}

} // namespace

std::string text_of(const toml_document& document) { return printed(document.root()) + "\n"; }

std::string differences(const std::string& now, const std::string& before) {
  const auto ours = settings_in(now), theirs = settings_in(before);
  if (!ours || !theirs)
    return {};
  std::set<std::string> keys;
  for (const auto* all : {&*ours, &*theirs})
    for (const auto& [key, value] : *all)
      keys.insert(key);
  const auto shown = [](const settings& from, const std::string& key) {
    const auto found = from.find(key);
    return found == from.end() ? "not given" : found->second;
  };
  std::string line;
  std::size_t count = 0;
  constexpr std::size_t most_shown = 10;
  for (const auto& key : keys) {
    const auto value = shown(*ours, key), old = shown(*theirs, key);
    if (value != old && ++count <= most_shown)
      line += (count > 1 ? ", " : "") + key + " (" + value + ", was " + old + ")";
  }
  if (count > most_shown)
    line += " and " + std::to_string(count - most_shown) + " more";
  return line;
}

} // namespace skippipe::runtime
