#include "runtime/config/file_kind.hpp"

#include <algorithm>

namespace skippipe::runtime {

namespace {

std::size_t fitting(const toml::table& root, file_kind kind) {
  const auto& tables = tables_of(kind);
  return static_cast<std::size_t>(std::count_if(root.begin(), root.end(), [&](const auto& entry) {
    return std::find(tables.begin(), tables.end(), entry.first.str()) != tables.end();
  }));
}

const char* command_for(file_kind kind) {
  static constexpr const char* names[] = {"train", "node --config", "up"};
  return names[static_cast<int>(kind)];
}

} // namespace

const char* name_of(file_kind kind) {
  static constexpr const char* names[] = {"job", "node", "cluster"};
  return names[static_cast<int>(kind)];
}

const std::vector<std::string>& tables_of(file_kind kind) {
  static const std::vector<std::string> job = {"job",   "model", "pipeline",   "limits",
                                               "train", "data",  "checkpoint", "cluster"};
  static const std::vector<std::string> node = {"node",    "scheduler", "security",  "data_plane",
                                                "failure", "transfer",  "limits",    "trace",
                                                "metrics", "log",       "emulation", "profile"};
  static const auto cluster = [] {
    auto tables = node;
    tables.push_back("cluster");
    return tables;
  }();
  return kind == file_kind::job ? job : kind == file_kind::node ? node : cluster;
}

file_kind kind_of(const toml_document& document) {
  for (const auto* name : {"job", "model", "pipeline", "train", "data", "checkpoint"})
    if (document.root().contains(name))
      return file_kind::job;
  return document.root().contains("cluster") ? file_kind::cluster : file_kind::node;
}

bool is_of_other_kind(const toml_document& document, file_kind wanted, problem_list& problems) {
  const auto& root = document.root();
  const auto kind = kind_of(document);
  const auto fits = fitting(root, wanted);
  // A cluster's file has a node's tables and one more; a node's file serves `up` as it is.
  const bool hardly =
      2 * fits < root.size() + 1 || (wanted == file_kind::node && kind == file_kind::cluster);
  if (kind == wanted || fitting(root, kind) < root.size() || fits == root.size() || !hardly)
    return false;
  std::string tables;
  for (const auto& [name, value] : root)
    tables += (tables.empty() ? "[" : ", [") + std::string{name.str()} + "]";
  problems.add({document.name(), 0, 0,
                std::string{"expected a "} + name_of(wanted) + " file, got a " + name_of(kind)
                    + " file (" + tables + "); it goes with `skippipe " + command_for(kind) + " "
                    + document.name() + "`"});
  return true;
}

} // namespace skippipe::runtime
