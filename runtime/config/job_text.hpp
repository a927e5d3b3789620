// A job as it was given, overrides included, to be compared with how it is given later.
#pragma once

#include <string>

namespace skippipe::runtime {

class toml_document;

/// The document with its overrides as TOML; without its comments.
std::string text_of(const toml_document& document);

/// Which keys of two such texts differ, in one line: "train.lr (0.002, was 0.001), train.clip (not given, was 1)".
/// Empty: none do, or one of the texts is none. Where data lie is no setting.
std::string differences(const std::string& now, const std::string& before);

} // namespace skippipe::runtime
