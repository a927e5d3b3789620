#include "actors/trace/file.hpp"
#include "actors/trace/format.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace skippipe::trace {

namespace {

constexpr std::uint64_t least_max_bytes = std::uint64_t{64} << 10;

std::error_code last_error() { return {errno, std::generic_category()}; }

std::error_code read_at(int fd, void* to, std::size_t size, std::uint64_t offset) {
  auto* out = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t n = ::pread(fd, out, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return last_error();
    if (n == 0)
      return std::make_error_code(std::errc::io_error);
    out += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

// Bytes up to the end of the last whole frame. Only headers decide, and the checksum of the last
// payload: damage further up is the reader's to report, not a reason to cut off what follows it.
std::error_code whole_bytes(int fd, std::uint64_t size, std::uint64_t& whole) {
  whole = 0;
  std::uint64_t last = 0;
  frame_header header;
  frame_header last_header;
  while (size - whole >= sizeof header) {
    if (auto err = read_at(fd, &header, sizeof header, whole))
      return err;
    if (!header_ok(header) || size - whole - sizeof header < header.length)
      break;
    last = whole;
    last_header = header;
    whole += sizeof header + header.length;
  }
  if (whole == 0)
    return {};
  std::vector<std::byte> payload(last_header.length);
  if (auto err = read_at(fd, payload.data(), payload.size(), last + sizeof header))
    return err;
  if (crc32(payload) != last_header.payload_crc)
    whole = last;
  return {};
}

} // namespace

std::filesystem::path trace_path(const std::filesystem::path& run_dir, const std::string& name) {
  std::string file;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                       || c == '-' || c == '_' || (c == '.' && !file.empty());
    if (plain) {
      file += c;
      continue;
    }
    constexpr char digits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    file += {'%', digits[byte >> 4], digits[byte & 15]};
  }
  return run_dir / "trace" / (file + ".trace");
}

file_writer::~file_writer() { close(); }

std::error_code file_writer::open(const file_options& options, const segment_info& info) {
  if (auto err = close())
    return err;
  if (info.name.empty() || info.name.size() > max_name_bytes)
    return std::make_error_code(std::errc::invalid_argument);
  std::error_code err;
  std::filesystem::create_directories(options.run_dir / "trace", err);
  if (err)
    return err;
  path_ = trace_path(options.run_dir, info.name);
  info_ = info;
  max_bytes_ = std::max(options.max_bytes, least_max_bytes);
  overwritten_ = 0;
  missed_ = 0;
  return open_file();
}

std::error_code file_writer::open_file() {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0)
    return last_error();
  struct stat st {};
  if (::fstat(fd_, &st) != 0)
    return last_error();
  const auto found = static_cast<std::uint64_t>(st.st_size);
  if (auto err = whole_bytes(fd_, found, size_))
    return err;
  // More than a torn frame: something damaged the file. Its rest may still be readable, so it is
  // set aside instead of cut off.
  if (found - size_ > sizeof(frame_header) + max_payload_bytes)
    return rotate();
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0)
    return last_error();
  return write_segment();
}

std::error_code file_writer::write_segment() {
  segment_head head;
  head.session = info_.session;
  head.incarnation = info_.incarnation;
  head.clock_offset_ns = info_.clock_offset_ns;
  head.clock_uncertainty_ns = info_.clock_uncertainty_ns;
  head.node = info_.node;
  head.name_bytes = static_cast<std::uint32_t>(info_.name.size());
  std::vector<std::byte> payload(sizeof head + info_.name.size());
  std::memcpy(payload.data(), &head, sizeof head);
  std::memcpy(payload.data() + sizeof head, info_.name.data(), info_.name.size());
  return write_frame(segment_frame, 0, payload);
}

std::error_code file_writer::append(std::span<const event> events, std::uint64_t overwritten) {
  if (fd_ < 0)
    return std::make_error_code(std::errc::bad_file_descriptor);
  missed_ += overwritten - overwritten_;
  overwritten_ = overwritten;
  while (!events.empty() || missed_ > 0) {
    const auto block = events.first(std::min(events.size(), max_frame_events));
    if (auto err = write_frame(event_frame, missed_, std::as_bytes(block))) {
      missed_ += events.size();
      return err;
    }
    missed_ = 0;
    events = events.subspan(block.size());
  }
  return size_ > max_bytes_ / 2 ? rotate() : std::error_code{};
}

std::error_code file_writer::update_clock(std::int64_t offset_ns, std::int64_t uncertainty_ns) {
  if (fd_ < 0)
    return std::make_error_code(std::errc::bad_file_descriptor);
  info_.clock_offset_ns = offset_ns;
  info_.clock_uncertainty_ns = uncertainty_ns;
  return write_segment();
}

std::error_code file_writer::write_frame(std::uint32_t type, std::uint64_t overwritten,
                                         std::span<const std::byte> payload) {
  frame_header header;
  header.type = type;
  header.length = static_cast<std::uint32_t>(payload.size());
  header.payload_crc = crc32(payload);
  header.overwritten = overwritten;
  header.header_crc = header_crc(header);
  frame_.resize(sizeof header + payload.size());
  std::memcpy(frame_.data(), &header, sizeof header);
  if (!payload.empty())
    std::memcpy(frame_.data() + sizeof header, payload.data(), payload.size());
  for (std::size_t done = 0; done < frame_.size();) {
    const ssize_t n =
        ::pwrite(fd_, frame_.data() + done, frame_.size() - done, static_cast<off_t>(size_ + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      const auto err = n < 0 ? last_error() : std::make_error_code(std::errc::io_error);
      // Should this fail too: the reader ignores half a frame, and the next write covers it.
      [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(size_));
      return err;
    }
    done += static_cast<std::size_t>(n);
  }
  size_ += frame_.size();
  return {};
}

std::error_code file_writer::rotate() {
  auto older = path_;
  older += ".1";
  std::error_code err;
  std::filesystem::rename(path_, older, err);
  if (err)
    return err;
  ::close(fd_);
  fd_ = -1;
  return open_file();
}

std::error_code file_writer::sync() {
  if (fd_ < 0)
    return std::make_error_code(std::errc::bad_file_descriptor);
  return ::fsync(fd_) == 0 ? std::error_code{} : last_error();
}

std::error_code file_writer::close() {
  if (fd_ < 0)
    return {};
  const int fd = fd_;
  fd_ = -1;
  return ::close(fd) == 0 ? std::error_code{} : last_error();
}

} // namespace skippipe::trace
