#include "runtime/train/checkpointing.hpp"

#include "model/file_io.hpp"
#include "model/shard_snapshot.hpp"
#include "runtime/config/job_text.hpp"
#include "runtime/counted.hpp"
#include "runtime/train/run_folder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace skippipe::runtime {

namespace fs = std::filesystem;

namespace {

using note_sink = std::function<void(const std::string&)>;

/// The checkpoint to go on from, and its run folder.
std::pair<fs::path, fs::path> find_source(const fs::path& resume, const note_sink& note) {
  if (!fs::is_directory(resume))
    throw std::runtime_error(resume.string()
                             + ": no such run folder or checkpoint; check --resume");
  const auto found = fs::canonical(model::newest_verified(resume));
  const auto run = found.parent_path().parent_path();
  for (const auto& entry : model::list_checkpoints(found.parent_path()))
    if (fs::canonical(entry.path) > found)
      note("skippipe: passed over " + entry.path.string()
           + " (skippipe checkpoint verify says why)");
  return {found, run};
}

/// What must be equal so that the run goes on as the same run; and what only changes its course.
void check_fits(const model::checkpoint_manifest& m, const job_config& job, std::uint64_t data,
                const fs::path& source, const note_sink& say) {
  auto wanted = job.model, held = m.model;
  wanted.preset = held.preset;
  wanted.recompute = held.recompute;
  if (wanted.compute != model::dtype::float64 && held.compute != model::dtype::float64)
    wanted.compute = held.compute; // The master weights are float32 in both.
  if (!(wanted == held))
    throw std::runtime_error(source.string()
                             + ": is of another model than the job's [model]; make them equal");
  const auto note = [&](const std::string& what) { say("note: " + what); };
  if (m.data != data)
    note("the data is not what the checkpoint was trained on");
  if (m.seed != job.seed)
    note("train.seed differs from the checkpoint's: data order and routes change");
  if (m.microbatch_size != job.pipeline.microbatch_size
      || (m.microbatches != job.microbatches() && !job.pipeline.deterministic))
    note("the microbatches of an iteration differ from the checkpoint's: the data order changes");
  else if (m.microbatches != job.microbatches())
    note("keeping the checkpoint's " + counted(m.microbatches, "microbatch")
         + " an iteration, shared out among the origins (pipeline.deterministic)");
  const bool same_stages = m.stages == job.pipeline.stages;
  const bool both_full =
      m.path_length == m.stages && job.pipeline.path_length == job.pipeline.stages;
  if (!both_full && (!same_stages || m.path_length != job.pipeline.path_length))
    note("the stages or the path length differ from the checkpoint's: routes change");
}

} // namespace

checkpointing::checkpointing(const job_config& job, const model::dataset& data,
                             const fs::path& resume, const note_sink& note)
    : job_(job), data_checksum_(data.checksum()), tokenizer_(data.load_tokenizer()->kind()) {
  if (resume.empty())
    return;
  std::tie(source_, run_dir_) = find_source(resume, note);
  const auto manifest = model::checkpoint_reader{source_}.manifest();
  check_fits(manifest, job, data_checksum_, source_, note);
  if (const auto before = run_dir_ / run_job; fs::exists(before))
    if (const auto keys = differences(job.text, model::read_text(before)); !keys.empty())
      note("note: the job is given otherwise than the run's was, and counts as it is given now: "
           + keys);
  committed_ = manifest.iteration;
  microbatches_ = manifest.microbatches;
  newest_ = source_;
}

checkpointing::~checkpointing() {
  if (journal_ >= 0)
    ::close(journal_);
}

void checkpointing::open(const fs::path& run_dir) {
  run_dir_ = run_dir;
  root_ = run_dir / "checkpoints";
  std::error_code problem;
  fs::create_directories(root_, problem);
  const auto file = run_dir / "journal";
  if (!problem)
    journal_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (!problem)
    model::clean_checkpoints(root_);
  if (!problem && journal_ >= 0)
    std::ofstream{run_dir / run_job} << "# What the run is of, --set and --seed included.\n"
                                     << job_.text;
  if (problem || journal_ < 0)
    throw std::runtime_error(run_dir.string() + ": cannot be written: "
                             + (problem ? problem.message() : std::strerror(errno))
                             + "; choose another folder with --run-dir");
}

model::checkpoint_writer& checkpointing::writer_of(std::uint64_t iteration) {
  std::lock_guard guard{mutex_};
  if (writing_ != iteration || !writer_) {
    writer_ = std::make_unique<model::checkpoint_writer>(root_, iteration);
    writing_ = iteration;
  }
  return *writer_;
}

void checkpointing::receive(std::uint64_t iteration, const std::string& name, std::uint64_t offset,
                            std::uint64_t total, std::span<const std::byte> bytes) {
  // Names come from other machines.
  if (name.find('/') != std::string::npos || name.rfind("stage-", 0) != 0)
    throw std::runtime_error("a part of a snapshot called '" + name + "'");
  auto& writer = writer_of(iteration);
  const auto path = writer.folder() / (name + ".part");
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const auto size = static_cast<ssize_t>(bytes.size());
  const bool written =
      fd >= 0 && ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) == size
      && (offset + bytes.size() < total || ::fsync(fd) == 0);
  const int why = errno;
  if (fd >= 0)
    ::close(fd);
  if (!written)
    throw std::runtime_error(path.string() + ": cannot be written: " + std::strerror(why)
                             + "; check its disk and permissions");
  if (offset + bytes.size() >= total)
    writer.adopt(name, path);
}

void checkpointing::write(const model::shard_snapshot& taken) {
  auto& writer = writer_of(taken.iteration);
  try {
    model::write_snapshot(writer, taken);
  } catch (const std::exception& problem) {
    std::lock_guard guard{mutex_};
    problem_ = problem.what();
    throw;
  }
}

void checkpointing::publish(std::uint64_t) {
  model::checkpoint_manifest manifest;
  manifest.job = job_.name;
  manifest.model = job_.model;
  manifest.optimizer = job_.optimizer;
  for (const auto& range :
       model::partition(job_.model.layers, job_.pipeline.stages, job_.pipeline.layers_per_stage))
    manifest.layers_per_stage.push_back(range.layer_count);
  manifest.stages = job_.pipeline.stages;
  manifest.path_length = job_.pipeline.path_length;
  manifest.microbatches = job_.microbatches();
  manifest.microbatch_size = job_.pipeline.microbatch_size;
  manifest.deterministic = job_.pipeline.deterministic;
  manifest.seed = job_.seed;
  manifest.data = data_checksum_;
  manifest.tokenizer = tokenizer_;
  std::lock_guard guard{mutex_};
  const auto writer = std::move(writer_);
  try {
    newest_ = writer->finish(std::move(manifest));
    problem_.clear();
  } catch (const std::exception& problem) {
    problem_ = problem.what();
    throw;
  }
  model::retain_checkpoints(root_, job_.checkpoint_keep);
}

void checkpointing::journal(const actors::commit& entry) {
  char text[200];
  const int size = std::snprintf(
      text, sizeof text,
      "{\"term\":%llu,\"iteration\":%llu,\"attempt\":%u,\"clip_factor\":%.17g,\"skip\":%s}\n",
      static_cast<unsigned long long>(entry.term), static_cast<unsigned long long>(entry.iteration),
      entry.attempt, static_cast<double>(entry.clip_factor), entry.skip ? "true" : "false");
  if (::write(journal_, text, static_cast<std::size_t>(size)) != size || ::fdatasync(journal_) != 0)
    throw std::runtime_error((run_dir_ / "journal").string()
                             + ": cannot be written: " + std::strerror(errno)
                             + "; make room, then go on with --resume " + run_dir_.string());
}

void checkpointing::restore_from(const fs::path& dir, model::shard& shard) {
  model::restore_shard(shard, model::checkpoint_reader{dir});
}

std::filesystem::path checkpointing::newest() const {
  std::lock_guard guard{mutex_};
  return newest_;
}

std::string checkpointing::problem() const {
  std::lock_guard guard{mutex_};
  return problem_;
}

} // namespace skippipe::runtime
