#include "runtime/train/job_data.hpp"

#include "model/prepare.hpp"

#include <stdexcept>

namespace skippipe::runtime {

std::filesystem::path ensure_data(const job_config& job, reporter& report) {
  if (!job.data.dir.empty())
    return job.data.dir;
  model::prepare_options prepare;
  prepare.inputs = model::corpus_files(job.data.corpus);
  prepare.tokenizer = job.data.tokenizer;
  prepare.vocab_size = job.data.vocab_size;
  prepare.out =
      std::filesystem::path{".cache"}
      / (job.data.corpus + "-" + job.data.tokenizer + "-" + std::to_string(job.data.vocab_size));
  prepare.progress = [&](const std::string& what, double done) { report.preparing(what, done); };
  const auto made = model::prepare_data(prepare);
  report.prepared(prepare.out, made);
  return prepare.out;
}

std::shared_ptr<const model::dataset> open_data(const std::filesystem::path& dir,
                                                const job_config& job) {
  auto data = std::make_shared<const model::dataset>(dir, job.model.context);
  if (data->vocab() != job.model.vocab)
    throw std::runtime_error(dir.string() + ": holds a vocabulary of "
                             + std::to_string(data->vocab()) + ", the job says model.vocab = "
                             + std::to_string(job.model.vocab) + "; make them equal");
  return data;
}

} // namespace skippipe::runtime
