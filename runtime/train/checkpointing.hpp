// A run's checkpoints and journal: where it resumes from and what it leaves behind.
#pragma once

#include "actors/protocol/messages.hpp"
#include "model/checkpoint_folder.hpp"
#include "model/checkpoint_reader.hpp"
#include "model/checkpoint_writer.hpp"
#include "model/dataset.hpp"
#include "runtime/config/job_config.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

namespace skippipe::model {
class shard;
struct shard_snapshot;
} // namespace skippipe::model

namespace skippipe::runtime {

class checkpointing {
public:
  /// Finds what to resume from and checks that the job fits it. Throws with one line.
  checkpointing(const job_config& job, const model::dataset& data,
                const std::filesystem::path& resume,
                const std::function<void(const std::string&)>& note);
  ~checkpointing();
  checkpointing(const checkpointing&) = delete;
  checkpointing& operator=(const checkpointing&) = delete;

  std::uint64_t committed() const { return committed_; }
  /// Of an iteration of the resumed run; 0: a fresh start.
  std::uint32_t microbatches() const { return microbatches_; }
  const std::filesystem::path& source() const { return source_; }   ///< Empty: a fresh start.
  const std::filesystem::path& run_dir() const { return run_dir_; } ///< Of the resumed run.
  /// Where checkpoints and journal go from now on.
  void open(const std::filesystem::path& run_dir);

  // Background threads:
  void write(const model::shard_snapshot& taken);
  /// Bytes of a file that a node writes elsewhere; in order, `total` of them in the end.
  void receive(std::uint64_t iteration, const std::string& name, std::uint64_t offset,
               std::uint64_t total, std::span<const std::byte> bytes);
  void publish(std::uint64_t iteration);
  void journal(const actors::commit& entry);

  void restore(model::shard& shard) const { restore_from(source_, shard); }
  static void restore_from(const std::filesystem::path& dir, model::shard& shard);

  std::filesystem::path newest() const; ///< Published last; empty: none.
  std::string problem() const;          ///< Of the last checkpoint; empty: well.

private:
  model::checkpoint_writer& writer_of(std::uint64_t iteration);

  const job_config job_;
  std::uint64_t data_checksum_;
  std::string tokenizer_;
  std::uint64_t committed_ = 0;
  std::uint32_t microbatches_ = 0;
  std::filesystem::path source_, run_dir_, root_;
  mutable std::mutex mutex_;
  std::unique_ptr<model::checkpoint_writer> writer_;
  std::uint64_t writing_ = 0;
  std::filesystem::path newest_;
  std::string problem_;
  int journal_ = -1;
};

} // namespace skippipe::runtime
