// What a TOML file configures, by the tables it has.
#pragma once

#include "runtime/config/toml_document.hpp"

#include <string>
#include <vector>

namespace skippipe::runtime {

enum class file_kind { job, node, cluster };

/// "job", "node" or "cluster".
const char* name_of(file_kind kind);

/// The tables that a file of the kind may have.
const std::vector<std::string>& tables_of(file_kind kind);

/// What the file most likely is meant to be.
file_kind kind_of(const toml_document& document);

/// True, with one problem that says which command takes the file, where it is clearly of another kind
/// than `wanted`.
bool is_of_other_kind(const toml_document& document, file_kind wanted, problem_list& problems);

} // namespace skippipe::runtime
