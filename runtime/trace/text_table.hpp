// Rows of text in aligned columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace skippipe::runtime {

class text_table {
public:
  explicit text_table(std::vector<std::string> head);
  /// As many cells as the head has.
  void add(std::vector<std::string> row);
  /// Columns named in `right` are aligned to the right. Ends with a newline.
  std::string text(const std::vector<std::size_t>& right) const;

private:
  std::vector<std::vector<std::string>> rows_;
};

} // namespace skippipe::runtime
