#include "model/spm_module.hpp"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <memory>
#include <unordered_map>
#include <vector>

namespace skippipe::model {

namespace {

class spm_tokenizer final : public tokenizer {
public:
  /// Empty where the model is usable.
  std::string load(const std::string& file) {
    const auto status = processor_.Load(file);
    if (!status.ok())
      return file + ": not a SentencePiece model; prepare the data again";
    newline_ = processor_.PieceToId("<0x0A>");
    if (newline_ == processor_.unk_id())
      return file + ": the SentencePiece model lacks byte fallback; prepare the data again";
    return {};
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    // Line by line: SentencePiece takes a newline for white space like any other.
    std::vector<std::int32_t> result;
    std::vector<int> line_ids;
    while (true) {
      const auto end = text.find('\n');
      const auto line = text.substr(0, end);
      processor_.Encode({line.data(), line.size()}, &line_ids).IgnoreError();
      result.insert(result.end(), line_ids.begin(), line_ids.end());
      if (end == std::string_view::npos)
        return result;
      result.push_back(newline_);
      text.remove_prefix(end + 1);
    }
  }

  std::string decode(const std::vector<std::int32_t>& ids) const override {
    std::string result, line;
    std::vector<int> line_ids;
    const auto flush = [&] {
      processor_.Decode(line_ids, &line).IgnoreError();
      result += line;
      line_ids.clear();
    };
    for (auto id : ids) {
      if (id == newline_) {
        flush();
        result.push_back('\n');
      } else if (id >= 0 && id < processor_.GetPieceSize()) {
        line_ids.push_back(id);
      }
    }
    flush();
    return result;
  }

  std::uint32_t vocab_size() const override {
    return static_cast<std::uint32_t>(processor_.GetPieceSize());
  }
  std::int32_t end_of_text() const override { return processor_.eos_id(); }
  std::string kind() const override { return "spm"; }

private:
  sentencepiece::SentencePieceProcessor processor_;
  int newline_ = 0;
};

/// Lines of a text, as SentencePiece's trainer asks for them.
class line_iterator final : public sentencepiece::SentenceIterator {
public:
  explicit line_iterator(std::string_view text) : rest_(text) { Next(); }
  bool done() const override { return done_; }
  void Next() override {
    do {
      if (rest_.empty()) {
        done_ = true;
        return;
      }
      const auto end = rest_.find('\n');
      line_ = std::string{rest_.substr(0, end)};
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    } while (line_.empty());
  }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

private:
  std::string_view rest_;
  std::string line_;
  bool done_ = false;
};

/// What SentencePiece means, in words of ours where it is known, with a size that would do.
std::string why_not(const std::string& message, std::uint32_t vocab_size) {
  const auto number_after = [&](std::string_view words) {
    const auto at = message.find(words);
    const auto first =
        at == message.npos ? at : message.find_first_of("0123456789", at + words.size());
    return first == message.npos
               ? std::string{}
               : message.substr(first, message.find_first_not_of("0123456789", first) - first);
  };
  const auto size = "a vocabulary of " + std::to_string(vocab_size);
  constexpr const char* key = "; --vocab-size (a job's data.vocab_size) must be ";
  if (const auto most = number_after("to a value <="); !most.empty())
    return "too little text for " + size + key + most + " or less";
  if (const auto least = number_after(" vs "); !least.empty())
    return "holds more kinds of characters than " + size + " has room for" + key + least
           + " or more";
  if (message.find("sentences_.empty()") != message.npos)
    return "holds no text to train a tokenizer on; name files with text in --input";
  return "a SentencePiece model of " + size + " could not be trained (" + message
         + "); try another --vocab-size or more text";
}

std::string train(std::string_view text, std::uint32_t vocab_size,
                  const std::filesystem::path& model_file) {
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocab_size)},
      {"model_prefix", (model_file.parent_path() / model_file.stem()).string()},
      {"byte_fallback", "true"},
      {"character_coverage", "0.9995"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"split_digits", "true"},
      {"shuffle_input_sentence", "false"},
      {"num_threads", "1"},
      {"minloglevel", "3"},
  };
  line_iterator lines{text};
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &lines);
  if (!status.ok())
    return why_not(std::string{status.message()}, vocab_size);
  std::error_code ignored; // A list for people to read; not part of the data.
  std::filesystem::remove(model_file.parent_path() / (model_file.stem().string() + ".vocab"),
                          ignored);
  return {};
}

} // namespace

} // namespace skippipe::model

skippipe::model::tokenizer* skippipe_spm_load(const std::string& model_file, std::string& error) {
  try {
    auto result = std::make_unique<skippipe::model::spm_tokenizer>();
    error = result->load(model_file);
    return error.empty() ? result.release() : nullptr;
  } catch (const std::exception& problem) {
    error = model_file + ": " + problem.what();
    return nullptr;
  }
}

bool skippipe_spm_train(std::string_view text, std::uint32_t vocab_size,
                        const std::filesystem::path& model_file, std::string& error) {
  try {
    error = skippipe::model::train(text, vocab_size, model_file);
  } catch (const std::exception& problem) {
    error = problem.what();
  }
  return error.empty();
}
