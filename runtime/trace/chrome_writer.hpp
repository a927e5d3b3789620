// The records of a Chrome trace, one JSON object per line.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::runtime {

/// The threads of a node's process; lanes of one kind follow each other in the viewer.
enum class lane_kind : std::uint8_t { compute, send, receive, reduce, control };

/// Times are ns from the trace's start.
class chrome_writer {
public:
  explicit chrome_writer(std::ostream& out);

  /// A complete slice on the first lane of the kind that is free at `begin`; returns its thread.
  /// Slices of one (process, kind) must come with growing `begin`. `args` is a JSON object.
  std::uint32_t slice(std::uint32_t process, lane_kind kind, std::string_view name,
                      std::string_view category, std::int64_t begin, std::int64_t end,
                      const std::string& args);
  /// One end of a flow; `time` lies within a slice of that thread.
  void flow(bool start, std::string_view category, std::uint64_t id, std::uint32_t process,
            std::uint32_t thread, std::int64_t time);
  void name_process(std::uint32_t process, std::string_view name);
  /// Names the threads and closes the JSON.
  void finish();

  std::size_t slices() const { return slices_; }

private:
  void begin_record();

  std::ostream& out_;
  bool first_ = true;
  std::size_t slices_ = 0;
  std::map<std::pair<std::uint32_t, lane_kind>, std::vector<std::int64_t>> lanes_; // free from
};

/// `text` as a JSON string with its quotes; bytes that are not UTF-8 are replaced.
std::string json_string(std::string_view text);

} // namespace skippipe::runtime
