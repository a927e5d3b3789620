// A node's trace file in the run folder: RUN/trace/NAME.trace, and NAME.trace.1 before it.
#pragma once

#include "actors/trace/event.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

namespace skippipe::trace {

/// Whose events follow, and by which clock.
struct segment_info {
  std::string name;               ///< The node's name, 1..255 bytes.
  node_id node = 0;               ///< Its id in the events.
  incarnation_no incarnation = 0; ///< The node's life.
  /// Equal for all nodes and lives of one start of the job, larger for each later start (its wall
  /// clock will do): tells an iteration from its repetition after a resume.
  std::uint64_t session = 0;
  std::int64_t clock_offset_ns = 0;      ///< Scheduler's clock minus this node's.
  std::int64_t clock_uncertainty_ns = 0; ///< Half the width of what the offset may be.
  friend bool operator==(const segment_info&, const segment_info&) = default;
};

struct file_options {
  std::filesystem::path run_dir;
  /// Space for one node; beyond it the oldest half is dropped. Values below 64 KiB count as that.
  std::uint64_t max_bytes = std::uint64_t{256} << 20;
};

/// RUN/trace/NAME.trace, with the bytes of `name` that a file name cannot hold written as %XX.
std::filesystem::path trace_path(const std::filesystem::path& run_dir, const std::string& name);

/// Appends to a node's trace file. One thread. A failed call leaves the file at its last whole
/// frame; later calls may succeed again (a disk may have been full), so training need not stop.
class file_writer {
public:
  file_writer() = default;
  file_writer(const file_writer&) = delete;
  file_writer& operator=(const file_writer&) = delete;
  ~file_writer();

  /// Creates or continues the file: what a crash left of a last frame is cut off, and a new
  /// segment begins. Creates RUN/trace.
  std::error_code open(const file_options& options, const segment_info& info);
  /// Writes `events`; `overwritten` is the ring's total so far. What cannot be written is counted
  /// as lost in the next block that can: give it up, do not hand it over again.
  std::error_code append(std::span<const event> events, std::uint64_t overwritten);
  /// A new estimate of the clock; holds for the events appended after it.
  std::error_code update_clock(std::int64_t offset_ns, std::int64_t uncertainty_ns);
  /// fsync.
  std::error_code sync();
  std::error_code close();

  const std::filesystem::path& path() const { return path_; }

private:
  std::error_code write_frame(std::uint32_t type, std::uint64_t overwritten,
                              std::span<const std::byte> payload);
  std::error_code write_segment();
  std::error_code open_file();
  std::error_code rotate();

  int fd_ = -1;
  std::filesystem::path path_;
  segment_info info_;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t overwritten_ = 0; // of the ring, as told so far
  std::uint64_t missed_ = 0;      // of those and of failed calls, not yet in the file
  std::vector<std::byte> frame_;  // kept between calls
};

/// Consecutive events of one life by one clock.
struct segment {
  segment_info info;
  std::size_t first = 0; ///< Index of its first event in `trace_data::events`.
  std::size_t count = 0;
};

/// What a trace file held. Damage is counted, not fatal: the rest can still be read.
struct trace_data {
  std::vector<segment> segments;
  std::vector<event> events;
  std::uint64_t overwritten = 0;    ///< Events lost to a full ring or disk.
  std::uint64_t damaged_blocks = 0; ///< Places where a checksum or the content is wrong.
  std::uint64_t unread_bytes = 0;   ///< After the last whole frame: what a crash left of one.
};

/// Which events to keep: iterations first..last, both included.
struct event_filter {
  iteration_no first = 0;
  iteration_no last = std::numeric_limits<iteration_no>::max();
  bool keeps(const event& e) const { return e.iteration >= first && e.iteration <= last; }
};

/// The contents, or one line that says why they are not a trace.
using trace_result = std::variant<trace_data, std::string>;

trace_result read_trace(std::span<const std::byte> bytes, const event_filter& filter = {});
/// `path` and, where it exists, the older `path`.1 before it. The line names the file.
trace_result read_trace_file(const std::filesystem::path& path, const event_filter& filter = {});

} // namespace skippipe::trace
