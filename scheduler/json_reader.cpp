#include "scheduler/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace skippipe::scheduler {

namespace {

constexpr double most_seconds = 1e15;

const char* kind_name(json_document::kind k) {
  constexpr const char* names[] = {"null",     "a boolean", "a number",
                                   "a string", "a list",    "an object"};
  return names[static_cast<std::size_t>(k)];
}

std::string article(std::string_view noun) {
  return (noun.starts_with('i') ? "an " : "a ") + std::string(noun);
}

/// A number as it was written, as far as that is known.
std::string shown(const json_document::value& v) {
  return v.exact ? json_number(v.number) : "an integer beyond 2^53";
}

} // namespace

void json_reader::problem(const value& at, const std::string& what) {
  if (problems_.size() < max_problems)
    problems_.push_back(file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column)
                        + ": " + what);
}

bool json_reader::object(const value& v, const std::string& name,
                         std::initializer_list<std::string_view> keys) {
  if (v.type != kind::object) {
    problem(v, name + ": expected an object, got " + kind_name(v.type));
    return false;
  }
  for (std::uint32_t i = 0; i < v.count; i += 2) {
    const value& key = document_.child(v, i);
    if (std::find(keys.begin(), keys.end(), document_.text(key)) == keys.end())
      problem(key, name + ": unknown key " + json_quote(document_.text(key)));
  }
  return true;
}

bool json_reader::is_other_format(const value& root, std::string_view wanted) {
  constexpr std::string_view ours = "skippipe-", known[] = {"instance", "schedule", "plan"};
  const auto* format = root.type == kind::object ? find(root, "format") : nullptr;
  if (format == nullptr || format->type != kind::string)
    return false;
  const std::string_view text = document_.text(*format);
  for (const auto name : known)
    if (name != wanted && text.starts_with(std::string(ours) + std::string(name) + "/")) {
      problem(*format, "expected \"skippipe-" + std::string(wanted) + "/1\", got "
                           + json_quote(text) + ": the file holds " + article(name) + ", not "
                           + article(wanted));
      return true;
    }
  return false;
}

bool json_reader::array(const value& v, const std::string& name, std::uint64_t size) {
  if (v.type != kind::array) {
    problem(v, name + ": expected a list, got " + kind_name(v.type));
    return false;
  }
  if (size != any && v.count != size) {
    problem(v,
            name + ": expected " + std::to_string(size) + " items, got " + std::to_string(v.count));
    return false;
  }
  return true;
}

const json_document::value* json_reader::need(const value& object, const std::string& key) {
  const value* v = document_.find(object, key);
  if (v == nullptr)
    problem(object, "missing key " + json_quote(key));
  return v;
}

double json_reader::number(const value& v, const std::string& name, double least, double most) {
  if (v.type != kind::number) {
    problem(v, name + ": expected a number, got " + kind_name(v.type));
    return least;
  }
  if (!(v.exact && v.number >= least && v.number <= most)) {
    problem(v, name + ": expected a number in " + json_number(least) + ".." + json_number(most)
                   + ", got " + shown(v));
    return least;
  }
  return v.number;
}

std::uint32_t json_reader::integer(const value& v, const std::string& name, std::uint32_t least,
                                   std::uint32_t most) {
  if (v.type != kind::number || !v.exact || std::floor(v.number) != v.number || v.number < least
      || v.number > most) {
    problem(v, name + ": expected an integer in " + std::to_string(least) + ".."
                   + std::to_string(most) + ", got "
                   + (v.type == kind::number ? shown(v) : kind_name(v.type)));
    return least;
  }
  return static_cast<std::uint32_t>(v.number);
}

std::string json_reader::string(const value& v, const std::string& name) {
  if (v.type == kind::string)
    return document_.text(v);
  problem(v, name + ": expected a string, got " + kind_name(v.type));
  return {};
}

std::vector<double> json_reader::numbers(const value& v, const std::string& name,
                                         std::uint64_t size) {
  std::vector<double> result;
  if (!array(v, name, size))
    return result;
  result.reserve(v.count);
  for (std::uint32_t i = 0; i < v.count; ++i)
    result.push_back(number(document_.child(v, i), name, 0, most_seconds));
  return result;
}

std::vector<double> json_reader::matrix(const value& v, const std::string& name, std::uint64_t rows,
                                        std::uint64_t columns) {
  std::vector<double> result;
  if (!array(v, name, rows))
    return result;
  result.reserve(rows * columns);
  for (std::uint32_t r = 0; r < v.count; ++r) {
    const value& row = document_.child(v, r);
    if (!array(row, name, columns))
      continue;
    for (std::uint32_t c = 0; c < row.count; ++c)
      result.push_back(number(document_.child(row, c), name, 0, most_seconds));
  }
  return result;
}

std::vector<std::uint32_t> json_reader::integers(const value& v, const std::string& name,
                                                 std::uint32_t least, std::uint32_t most,
                                                 std::uint64_t size) {
  std::vector<std::uint32_t> result;
  if (!array(v, name, size))
    return result;
  result.reserve(v.count);
  for (std::uint32_t i = 0; i < v.count; ++i)
    result.push_back(integer(document_.child(v, i), name, least, most));
  return result;
}

std::optional<std::string> read_file(const std::string& file, std::string& problem) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    problem = file + ":1:1: cannot open the file";
    return std::nullopt;
  }
  std::string text;
  char buffer[1 << 16];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (text.size() > json_document::max_bytes)
      break;
  }
  if (in.bad()) {
    problem = file + ":1:1: cannot read the file";
    return std::nullopt;
  }
  return text;
}

} // namespace skippipe::scheduler
