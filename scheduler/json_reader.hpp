// Typed access to a JSON document that collects every problem with its place.
#pragma once

#include "scheduler/json.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::scheduler {

/// A value read from a file, or the lines "file:line:col: ..." saying why not.
template <class T>
struct read_result {
  std::optional<T> value;
  std::vector<std::string> problems;
};

/// Reads fields and notes what is wrong; readers go on after a problem to report all of them.
class json_reader {
public:
  using value = json_document::value;
  using kind = json_document::kind;

  json_reader(const json_document& document, std::string file)
      : document_(document), file_(std::move(file)) {}

  /// At most this many problems are kept; the rest would not help.
  static constexpr std::size_t max_problems = 20;

  void problem(const value& at, const std::string& what);
  const std::vector<std::string>& problems() const { return problems_; }
  const json_document& document() const { return document_; }

  /// Whether `v` is an object with no other keys than these; unknown ones are problems.
  bool object(const value& v, const std::string& name,
              std::initializer_list<std::string_view> keys);
  /// Whether `root` says that it has another of our formats than "skippipe-`wanted`/1", which is a problem.
  bool is_other_format(const value& root, std::string_view wanted);
  /// Whether `v` is an array; of exactly `size` items unless that is `any`.
  bool array(const value& v, const std::string& name, std::uint64_t size = any);
  static constexpr std::uint64_t any = ~std::uint64_t{0};

  /// The member, noting its absence.
  const value* need(const value& object, const std::string& key);
  const value* find(const value& object, const std::string& key) const {
    return document_.find(object, key);
  }

  double number(const value& v, const std::string& name, double least, double most);
  std::uint32_t integer(const value& v, const std::string& name, std::uint32_t least,
                        std::uint32_t most);
  std::string string(const value& v, const std::string& name);
  std::vector<double> numbers(const value& v, const std::string& name, std::uint64_t size);
  /// Row-major.
  std::vector<double> matrix(const value& v, const std::string& name, std::uint64_t rows,
                             std::uint64_t columns);
  std::vector<std::uint32_t> integers(const value& v, const std::string& name, std::uint32_t least,
                                      std::uint32_t most, std::uint64_t size = any);

private:
  const json_document& document_;
  std::string file_;
  std::vector<std::string> problems_;
};

/// The whole file, or a problem line.
std::optional<std::string> read_file(const std::string& file, std::string& problem);

} // namespace skippipe::scheduler
