// Text to token ids and back: plain bytes, or a SentencePiece model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::model {

/// Thread-safe once built. Failures throw std::runtime_error with one line.
class tokenizer {
public:
  virtual ~tokenizer() = default;
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<std::int32_t>& ids) const = 0;
  virtual std::uint32_t vocab_size() const = 0;
  virtual std::int32_t end_of_text() const = 0; ///< Stands between documents.
  virtual std::string kind() const = 0;         ///< "byte" or "spm".
};

/// 256 byte values and an end-of-text token.
std::unique_ptr<tokenizer> make_byte_tokenizer();

/// A model file written by train_spm.
std::unique_ptr<tokenizer> load_spm(const std::filesystem::path& model_file);

/// Trains a byte-pair model of `vocab_size` pieces with byte fallback on `text`, deterministically,
/// and writes it to `model_file`. White space survives: encode and decode are inverses.
void train_spm(std::string_view text, std::uint32_t vocab_size,
               const std::filesystem::path& model_file);

} // namespace skippipe::model
