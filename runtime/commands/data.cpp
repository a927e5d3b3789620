// skippipe data: text files to token files.
#include "model/prepare.hpp"
#include "runtime/cli.hpp"
#include "runtime/terminal.hpp"

#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

/// Progress on stderr: a line that replaces itself on a terminal, else a line for each step.
class step_printer {
public:
  void operator()(const std::string& what, double done) {
    const int percent = static_cast<int>(done * 100);
    if (what == what_ && (!terminal_ || percent == percent_))
      return;
    if (terminal_) {
      if (!what_.empty() && what != what_)
        std::cerr << '\n';
      std::cerr << "\r" << what << (percent > 0 ? " " + std::to_string(percent) + " %" : "...")
                << "\x1b[K" << std::flush;
    } else {
      std::cerr << what << '\n';
    }
    what_ = what;
    percent_ = percent;
  }
  void end() const {
    if (terminal_ && !what_.empty())
      std::cerr << '\n';
  }

private:
  const bool terminal_ = redraws(STDERR_FILENO);
  std::string what_;
  int percent_ = -1;
};

struct prepare_words {
  model::prepare_options options;
  bool json = false;
};

int run_prepare(const prepare_words& words, bool size_given) {
  const auto& wanted = words.options;
  if (size_given && wanted.tokenizer == "byte")
    std::cerr << "--vocab-size is not used: bytes always have 257 tokens\n";
  auto printer = std::make_shared<step_printer>();
  auto options = wanted;
  options.progress = [printer](const std::string& what, double done) { (*printer)(what, done); };
  model::prepare_result result;
  try {
    result = model::prepare_data(options);
  } catch (...) {
    printer->end(); // The error gets a line of its own.
    throw;
  }
  printer->end();
  if (result.validation_tokens > result.train_tokens)
    std::cerr
        << "skippipe: warning: more tokens are held out for validation than are left for "
           "training, as whole files are held out; name more files, or join the few into one\n";
  if (words.json) {
    print_json({{"out", wanted.out.string()},
                {"tokenizer", wanted.tokenizer},
                {"vocab", result.vocab},
                {"documents", result.documents},
                {"bytes", result.bytes},
                {"train_tokens", result.train_tokens},
                {"validation_tokens", result.validation_tokens},
                {"reused", result.reused}});
    return 0;
  }
  std::cout << wanted.out.string() << ": " << (result.reused ? "up to date, " : "")
            << result.train_tokens << " training and " << result.validation_tokens
            << " validation tokens of " << result.vocab << " kinds\n";
  return 0;
}

} // namespace

void add_data(CLI::App& app, command_context& context) {
  auto* data = app.add_subcommand("data", "Prepare text for training");
  data->require_subcommand(1);
  auto* prepare = data->add_subcommand("prepare", "Turn text files into token files");
  auto words = std::make_shared<prepare_words>();
  prepare->add_option("--input", words->options.inputs, "Text files, or folders of them")
      ->required();
  prepare
      ->add_option("--tokenizer", words->options.tokenizer,
                   "spm: pieces of words, by SentencePiece (default); byte: 257 tokens")
      ->check(CLI::IsMember({"byte", "spm"}));
  auto* size = prepare->add_option("--vocab-size", words->options.vocab_size,
                                   "How many tokens an spm tokenizer gets (default 2048)");
  prepare->add_option("--out", words->options.out, "The folder to make")->required();
  prepare->add_flag("--json", words->json, "The result as one JSON object on stdout");
  prepare->callback([&context, words, size] {
    context.run = [words, size] { return run_prepare(*words, size->count() > 0); };
  });
}

} // namespace skippipe::runtime
