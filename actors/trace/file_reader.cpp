#include "actors/trace/file.hpp"
#include "actors/trace/format.hpp"

#include <cstring>
#include <fstream>

namespace skippipe::trace {

namespace {

bool read_segment(std::span<const std::byte> payload, trace_data& out) {
  segment_head head;
  std::memcpy(&head, payload.data(), sizeof head);
  if (head.name_bytes == 0 || payload.size() != sizeof head + head.name_bytes)
    return false;
  segment s;
  s.info.name.assign(reinterpret_cast<const char*>(payload.data()) + sizeof head, head.name_bytes);
  s.info.node = head.node;
  s.info.incarnation = head.incarnation;
  s.info.session = head.session;
  s.info.clock_offset_ns = head.clock_offset_ns;
  s.info.clock_uncertainty_ns = head.clock_uncertainty_ns;
  s.first = out.events.size();
  out.segments.push_back(std::move(s));
  return true;
}

bool read_events(std::span<const std::byte> payload, const event_filter& filter, trace_data& out) {
  if (out.segments.empty())
    return false;
  const std::size_t before = out.events.size();
  for (std::size_t at = 0; at < payload.size(); at += sizeof(event)) {
    event e;
    std::memcpy(static_cast<void*>(&e), payload.data() + at, sizeof e);
    if (!well_formed(e)) {
      out.events.resize(before);
      return false;
    }
    if (filter.keeps(e))
      out.events.push_back(e);
  }
  out.segments.back().count += out.events.size() - before;
  return true;
}

// Moves `bytes` to the next whole frame; past a damaged header that is the next good one.
bool next_frame(std::span<const std::byte>& bytes, frame_header& header, trace_data& out) {
  for (std::size_t at = 0; bytes.size() - at >= sizeof header; ++at) {
    std::memcpy(&header.magic, bytes.data() + at, sizeof header.magic);
    if (header.magic != frame_magic)
      continue;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    if (!header_ok(header) || bytes.size() - at - sizeof header < header.length)
      continue;
    if (at > 0)
      ++out.damaged_blocks;
    bytes = bytes.subspan(at);
    return true;
  }
  return false;
}

// Adds what `bytes` hold to `out`; a line when they do not begin like a trace.
std::string read_into(std::span<const std::byte> bytes, const event_filter& filter,
                      trace_data& out) {
  if (bytes.empty())
    return {};
  frame_header header;
  if (bytes.size() >= sizeof header.magic)
    std::memcpy(&header.magic, bytes.data(), sizeof header.magic);
  if (bytes.size() < sizeof header.magic || (header.magic & 0xffffff) != (frame_magic & 0xffffff))
    return "not a trace file (it does not begin with 'STr')";
  if (header.magic != frame_magic)
    return "a trace of another format version ('"
           + std::string(1, static_cast<char>(header.magic >> 24))
           + "', this program reads '1'): read it with the version that wrote it";
  while (next_frame(bytes, header, out)) {
    const auto payload = bytes.subspan(sizeof header, header.length);
    const bool good = crc32(payload) == header.payload_crc
                      && (header.type == segment_frame ? read_segment(payload, out)
                                                       : read_events(payload, filter, out));
    if (!good)
      ++out.damaged_blocks;
    out.overwritten += header.overwritten;
    bytes = bytes.subspan(sizeof header + header.length);
  }
  out.unread_bytes += bytes.size();
  return {};
}

std::string read_file(const std::filesystem::path& path, std::vector<std::byte>& out) {
  std::error_code err;
  const auto size = std::filesystem::file_size(path, err);
  if (err)
    return path.string() + ": cannot read: " + err.message();
  std::ifstream in(path, std::ios::binary);
  out.resize(size);
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(size));
  if (in.bad() || in.gcount() < 0 || !in.is_open())
    return path.string() + ": cannot read";
  out.resize(static_cast<std::size_t>(in.gcount()));
  return {};
}

} // namespace

trace_result read_trace(std::span<const std::byte> bytes, const event_filter& filter) {
  trace_data out;
  if (auto problem = read_into(bytes, filter, out); !problem.empty())
    return problem;
  return out;
}

trace_result read_trace_file(const std::filesystem::path& path, const event_filter& filter) {
  trace_data out;
  std::vector<std::byte> bytes;
  auto older = path;
  older += ".1";
  std::error_code err;
  for (const auto& file : {older, path}) {
    if (file == older && !std::filesystem::exists(older, err))
      continue;
    if (auto problem = read_file(file, bytes); !problem.empty())
      return problem;
    if (auto problem = read_into(bytes, filter, out); !problem.empty())
      return file.string() + ": " + problem;
  }
  return out;
}

} // namespace skippipe::trace
