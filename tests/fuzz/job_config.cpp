// Job files: whatever the bytes, a job or problems, each on one line. The first byte says how many
// of the bytes behind it are an override.
#include "runtime/config/job_config.hpp"
#include "runtime/config/toml_document.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace skippipe::runtime;

namespace {

void must(bool holds) {
  if (!holds)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto length = std::min<std::size_t>(data[0], bytes.size());
  problem_list problems;
  auto document = toml_document::parse(std::string_view{bytes}.substr(length), "f", problems);
  if (!document) {
    must(problems.size() == 1);
  } else {
    if (length > 0)
      document->override_key(bytes.substr(0, length), problems);
    const auto job = read_job(*document, problems);
    must(job.has_value() == problems.empty());
    if (job) {
      // What the rest of the program counts on without looking again.
      must(job->replicas.size() == job->pipeline.stages);
      must(job->pipeline.path_length >= 1 && job->pipeline.path_length <= job->pipeline.stages);
      must(job->instance().nodes.size() == job->nodes);
      must(skippipe::model::validate(job->model).empty());
    }
  }
  const auto text = problems.text();
  must(problems.empty()
       || static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1
              == problems.size());
  must(std::none_of(text.begin(), text.end(), [](char c) {
    return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f);
  }));
  return 0;
}
