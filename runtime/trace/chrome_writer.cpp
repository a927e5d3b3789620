#include "runtime/trace/chrome_writer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

namespace skippipe::runtime {

namespace {

constexpr std::array<std::string_view, 5> lane_names = {"compute", "send", "receive", "reduce",
                                                        "control"};
constexpr std::uint32_t lanes_per_kind = 1000;

std::uint32_t thread_of(lane_kind kind, std::size_t lane) {
  const auto last = std::min<std::size_t>(lane, lanes_per_kind - 1);
  return static_cast<std::uint32_t>(kind) * lanes_per_kind + static_cast<std::uint32_t>(last) + 1;
}

// Microseconds with the nanoseconds kept.
std::string micros(std::int64_t ns) {
  char text[48];
  std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ns / 1000),
                static_cast<long long>(ns % 1000));
  return text;
}

} // namespace

std::string json_string(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

chrome_writer::chrome_writer(std::ostream& out) : out_(out) { out_ << "{\"traceEvents\":["; }

void chrome_writer::begin_record() {
  out_ << (first_ ? "\n" : ",\n");
  first_ = false;
}

std::uint32_t chrome_writer::slice(std::uint32_t process, lane_kind kind, std::string_view name,
                                   std::string_view category, std::int64_t begin, std::int64_t end,
                                   const std::string& args) {
  auto& free_from = lanes_[{process, kind}];
  auto lane = std::find_if(free_from.begin(), free_from.end(),
                           [&](std::int64_t free) { return free <= begin; });
  if (lane == free_from.end())
    lane = free_from.insert(free_from.end(), begin);
  *lane = std::max(begin, end);
  const auto thread = thread_of(kind, static_cast<std::size_t>(lane - free_from.begin()));
  begin_record();
  out_ << "{\"ph\":\"X\",\"pid\":" << process << ",\"tid\":" << thread
       << ",\"name\":" << json_string(name) << ",\"cat\":\"" << category
       << "\",\"ts\":" << micros(begin) << ",\"dur\":" << micros(std::max(begin, end) - begin)
       << ",\"args\":" << args << "}";
  ++slices_;
  return thread;
}

void chrome_writer::flow(bool start, std::string_view category, std::uint64_t id,
                         std::uint32_t process, std::uint32_t thread, std::int64_t time) {
  char hex[24];
  std::snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(id));
  begin_record();
  // An end binds to the slice around it, not to the next one.
  out_ << (start ? "{\"ph\":\"s\"" : "{\"ph\":\"f\",\"bp\":\"e\"") << ",\"pid\":" << process
       << ",\"tid\":" << thread << ",\"name\":\"transfer\",\"cat\":\"" << category << "\",\"id\":\""
       << hex << "\",\"ts\":" << micros(time) << "}";
}

void chrome_writer::name_process(std::uint32_t process, std::string_view name) {
  begin_record();
  out_ << "{\"ph\":\"M\",\"pid\":" << process
       << ",\"name\":\"process_name\",\"args\":{\"name\":" << json_string(name) << "}}";
}

void chrome_writer::finish() {
  for (const auto& [key, free_from] : lanes_) {
    const auto& [process, kind] = key;
    const auto used = std::min<std::size_t>(free_from.size(), lanes_per_kind);
    for (std::size_t lane = 0; lane < used; ++lane) {
      std::string name(lane_names[static_cast<std::size_t>(kind)]);
      if (lane > 0)
        name += " " + std::to_string(lane + 1);
      const auto thread = thread_of(kind, lane);
      begin_record();
      out_ << "{\"ph\":\"M\",\"pid\":" << process << ",\"tid\":" << thread
           << ",\"name\":\"thread_name\",\"args\":{\"name\":\"" << name << "\"}}";
      begin_record();
      out_ << "{\"ph\":\"M\",\"pid\":" << process << ",\"tid\":" << thread
           << ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":" << thread << "}}";
    }
  }
  out_ << "\n],\"displayTimeUnit\":\"ms\"}\n";
}

} // namespace skippipe::runtime
