// Where a run keeps what it makes: runs/NAME-N.
#pragma once

#include <filesystem>
#include <string>

namespace skippipe::runtime {

/// Creates `wanted`, or the first free runs/NAME-N where it is empty. Throws std::runtime_error with
/// one line.
std::filesystem::path create_run_folder(const std::filesystem::path& wanted,
                                        const std::string& name);

} // namespace skippipe::runtime
