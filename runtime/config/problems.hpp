// What is wrong with a configuration, all of it in one go.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::runtime {

/// Begins the "file" of a --set word's problems; the word follows, and no line and column are shown.
inline constexpr const char* override_place = "--set";

/// One problem, with its place.
struct config_problem {
  std::string file; ///< Or "--set key=value".
  std::uint32_t line = 0, column = 0;
  std::string text; ///< "key: expected ..., got ...".
};

/// Collects problems; sorted by place when shown.
class problem_list {
public:
  void add(config_problem problem) { problems_.push_back(std::move(problem)); }
  /// The configuration is sound, but there is no plan for it.
  void set_infeasible() { infeasible_ = true; }
  bool infeasible() const { return infeasible_; }
  bool empty() const { return problems_.empty(); }
  std::size_t size() const { return problems_.size(); }
  /// Whether --set words are to blame, and no file.
  bool of_command_line() const;
  /// `file:line:col: key: what`, one per line, by place. Line 0: no place ("file: ...").
  std::string text() const;

private:
  std::vector<config_problem> problems_;
  bool infeasible_ = false;
};

/// The name among `names` that `word` most likely meant; empty where none is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& names);

} // namespace skippipe::runtime
