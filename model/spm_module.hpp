// SentencePiece behind a door of its own: Debian's library carries a private protobuf whose symbols
// clash with LibTorch's, so it is loaded late and apart (model/tokenizer.cpp), by these names.
#pragma once

#include "model/tokenizer.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#define SKIPPIPE_EXPORT __attribute__((visibility("default")))

extern "C" {
/// A tokenizer that the caller owns; nullptr, and why in `error`, where the file is no usable model.
/// Does not throw.
SKIPPIPE_EXPORT skippipe::model::tokenizer* skippipe_spm_load(const std::string& model_file,
                                                              std::string& error);
/// Writes a model; false, and why in `error`, on failure. Does not throw.
SKIPPIPE_EXPORT bool skippipe_spm_train(std::string_view text, std::uint32_t vocab_size,
                                        const std::filesystem::path& model_file,
                                        std::string& error);
}
