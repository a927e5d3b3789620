// Job files made by changing a sound one.
#pragma once

#include "runtime/config/job_config.hpp"
#include "runtime/config/toml_document.hpp"

#include <stdexcept>
#include <string>
#include <vector>

namespace skippipe::test {

inline constexpr const char* sound_job = R"([job]
name = "sound"
[model]
dim = 64
layers = 8
heads = 4
kv_heads = 2
ffn = 128
vocab = 2048
context = 32
[pipeline]
stages = 4
skip_ratio = 0.25
microbatches_per_origin = 4
memory_microbatches = 3
strategy = "random"
[train]
lr = 1e-3
[data]
corpus = "debian"
vocab_size = 2048
[cluster]
nodes = 8
)";

/// `from` replaced by `to` in the sound job; it must be there once.
inline std::string changed(const std::string& from, const std::string& to) {
  std::string text = sound_job;
  const auto at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos)
    throw std::logic_error("not once in the sound job: " + from);
  return text.replace(at, from.size(), to);
}

/// What reading says: empty for a sound job.
inline std::string problems_of(const std::string& text,
                               const std::vector<std::string>& overrides = {}) {
  runtime::problem_list problems;
  auto document = runtime::toml_document::parse(text, "j.toml", problems);
  if (document) {
    for (const auto& word : overrides)
      document->override_key(word, problems);
    const auto job = runtime::read_job(*document, problems);
    if (job.has_value() != problems.empty())
      throw std::logic_error("a job and problems at once, or neither");
  }
  return problems.text();
}

} // namespace skippipe::test
