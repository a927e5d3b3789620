#include "runtime/security/token_store.hpp"

#include "runtime/security/authority.hpp"
#include "runtime/security/pem.hpp"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

namespace skippipe::runtime::security {

namespace {

// No 0, 1, l or o, which people confuse: 32 characters of 5 bits each.
constexpr std::string_view alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
static_assert(alphabet.size() == 32);
constexpr std::size_t token_size = 32; ///< 160 bits.

std::string hash_of(const std::string& token) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest);
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::int64_t seconds_of(token_store::clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

} // namespace

/// The file, open and locked; what others have appended is applied first.
class token_store::session {
public:
  explicit session(token_store& store)
      : store_(store), fd_(::open(store.file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX) != 0)
      fail("cannot be opened");
    try {
      catch_up();
    } catch (...) {
      if (fd_ >= 0)
        ::close(fd_); // and with it the lock
      throw;
    }
  }
  ~session() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// On disk when it returns.
  void append(const std::string& line) {
    const std::string text = line + "\n";
    const auto n = ::pwrite(fd_, text.data(), text.size(), static_cast<off_t>(store_.read_));
    if (n != static_cast<ssize_t>(text.size()) || ::fsync(fd_) != 0)
      fail("cannot be written");
    store_.read_ += text.size();
    store_.apply(line);
  }

private:
  void catch_up() {
    struct stat info {};
    if (::fstat(fd_, &info) != 0)
      fail("cannot be read");
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size < store_.read_)
      throw key_error(store_.file_.string() + ": was cut; restore it, or remove it and restart");
    std::string text(size - store_.read_, '\0');
    const auto n = ::pread(fd_, text.data(), text.size(), static_cast<off_t>(store_.read_));
    if (n != static_cast<ssize_t>(text.size()))
      fail("cannot be read");
    std::size_t at = 0;
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
      store_.apply(text.substr(at, end - at));
      at = end + 1;
    }
    // A line without an end is half of one: its writer died before anyone acted on it.
    store_.read_ += at;
    if (at < text.size() && ::ftruncate(fd_, static_cast<off_t>(store_.read_)) != 0)
      fail("cannot be mended");
  }
  [[noreturn]] void fail(const char* what) {
    const int error = errno;
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
    throw key_error(store_.file_.string() + ": " + what + ": " + std::strerror(error));
  }

  token_store& store_;
  int fd_;
};

token_store::token_store(const std::filesystem::path& folder) : file_(folder / "tokens.log") {
  make_private_folder(folder);
  const session reading(*this);
}

void token_store::apply(const std::string& line) {
  std::istringstream words(line);
  std::string verb, first, second;
  words >> verb >> first >> second;
  if (verb == "token" && !second.empty()) {
    tickets_[first].expires =
        clock::time_point{std::chrono::seconds{std::strtoll(second.c_str(), nullptr, 10)}};
  } else if (verb == "admit" && !second.empty()) {
    tickets_[second].used = true;
    admitted_[first] = second;
  } else if (verb == "known" && !first.empty()) {
    admitted_[first];
  } else if (verb == "forget") {
    admitted_.erase(first);
  } else {
    throw key_error(file_.string() + ": expected the scheduler's tokens, got '" + line.substr(0, 40)
                    + "'; restore the file, or remove it and make new tokens");
  }
}

std::string token_store::create(std::chrono::seconds life, clock::time_point now) {
  if (life.count() < 1)
    throw key_error("expected a lifetime of at least a second");
  unsigned char random[token_size];
  require(RAND_bytes(random, sizeof random) == 1, "a random number");
  std::string token;
  for (const unsigned char byte : random)
    token += alphabet[byte % alphabet.size()];
  session open(*this);
  open.append("token " + hash_of(token) + " " + std::to_string(seconds_of(now + life)));
  return token;
}

/// By what has been read of the file; "" where it may come in.
std::string token_store::refusal(const std::string& name, const std::string& token,
                                 clock::time_point now) const {
  if (admitted_.count(name) > 0 || tickets_.empty())
    return {};
  if (token.empty())
    return "'" + name
           + "' joins for the first time and brings no token; `skippipe token create` makes one";
  const auto found = tickets_.find(hash_of(token));
  if (found == tickets_.end())
    return "'" + name + "' brings a token that is not known here";
  if (found->second.used)
    return "'" + name + "' brings a token that was used before";
  if (found->second.expires <= now)
    return "'" + name + "' brings a token that has expired";
  return {};
}

std::string token_store::admit(const std::string& name, const std::string& token,
                               clock::time_point now) {
  check_node_name(name);
  session open(*this);
  auto why = refusal(name, token, now);
  if (why.empty() && admitted_.count(name) == 0)
    open.append(tickets_.empty() ? "known " + name : "admit " + name + " " + hash_of(token));
  return why;
}

std::string token_store::obstacle(const std::string& name, const std::string& token,
                                  clock::time_point now) {
  check_node_name(name);
  const session reading(*this);
  return refusal(name, token, now);
}

void token_store::forget(const std::string& name) {
  session open(*this);
  if (admitted_.count(name) > 0)
    open.append("forget " + name);
}

std::size_t token_store::unused(clock::time_point now) {
  const session reading(*this);
  std::size_t count = 0;
  for (const auto& [hash, one] : tickets_)
    count += !one.used && one.expires > now;
  return count;
}

} // namespace skippipe::runtime::security
