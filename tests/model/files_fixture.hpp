// Scratch folders and text for the tests of files.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

/// A folder that lives as long as this object.
struct scratch {
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "skippipe-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make a scratch folder");
    path = name;
  }
  ~scratch() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path / name; }
  std::filesystem::path path;
};

/// Lines of words, the same on every machine.
inline std::vector<std::string> prose_lines(std::size_t count) {
  static const char* words[] = {"the",     "stage", "sends",  "a",       "message", "to",
                                "another", "node",  "which",  "waits",   "until",   "gradients",
                                "arrive",  "and",   "then",   "begins",  "its",     "next",
                                "forward", "pass",  "slowly", "quickly", "over",    "network",
                                "link",    "that",  "was",    "busy",    "before",  "it"};
  std::mt19937 random(7);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    std::string line;
    for (auto n = 5 + random() % 10; n > 0; --n)
      line += std::string(words[random() % std::size(words)]) + (n > 1 ? " " : ".");
    lines.push_back(line);
  }
  return lines;
}

inline std::string prose(std::size_t lines) {
  std::string text;
  for (const auto& line : prose_lines(lines))
    text += line + "\n";
  return text;
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Flips one bit of one byte.
inline void flip(const std::filesystem::path& path, std::size_t at) {
  auto bytes = read_file(path);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x10);
  write_file(path, bytes);
}

/// The message of what `action` throws; empty: it threw nothing.
template <class F>
std::string error_of(F action) {
  try {
    action();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

inline bool one_line(const std::string& message) {
  return !message.empty() && message.find('\n') == std::string::npos && message.size() < 400;
}
