#include "runtime/config/problems.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace skippipe::runtime {

namespace {

/// What a file holds may be quoted: it must not break the line nor talk to the terminal.
std::string one_line(const std::string& text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      result += "\\n";
    else if (byte < 0x20 || byte == 0x7f)
      result += std::string{"\\x"} + digits[byte / 16] + digits[byte % 16];
    else
      result += c;
  }
  return result;
}

bool is_of_command_line(const config_problem& p) { return p.file.starts_with(override_place); }

} // namespace

bool problem_list::of_command_line() const {
  return !problems_.empty() && std::all_of(problems_.begin(), problems_.end(), is_of_command_line);
}

std::string problem_list::text() const {
  auto sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  std::string result;
  for (const auto& p : sorted) {
    if (!result.empty())
      result += '\n';
    result += one_line(p.file);
    if (p.line > 0 && !is_of_command_line(p))
      result += ":" + std::to_string(p.line) + ":" + std::to_string(p.column);
    result += ": " + one_line(p.text);
  }
  return result;
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = word.size() / 2 + 1; // Further away is no likely slip.
  for (const auto& name : names) {
    // Levenshtein distance, one row at a time.
    std::vector<std::size_t> row(name.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < word.size(); ++i) {
      auto diagonal = row[0]++;
      for (std::size_t j = 0; j < name.size(); ++j) {
        const auto substituted = diagonal + (word[i] == name[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = name;
    }
  }
  return best;
}

} // namespace skippipe::runtime
