#include "bench/transport_limits.hpp"

#include "bench/transport_pair.hpp"

#include <openssl/evp.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace skippipe::bench {
namespace {

constexpr std::size_t record = 16 * 1024, tag = 16, batch = 16; // records per call of the kernel

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* p = ::popen(command.c_str(), "r");
  char line[512];
  while (p != nullptr && std::fgets(line, sizeof line, p) != nullptr)
    text += line;
  if (p != nullptr)
    ::pclose(p);
  return text;
}

/// A column of ucx_perftest's last line, server and client started here.
double perftest(const std::string& test, std::size_t size, std::size_t count, std::size_t window,
                int column, const std::string& mode) {
  static int port = 13500;
  const std::string common = "UCX_TLS=tcp UCX_NET_DEVICES=lo UCX_WARN_UNUSED_ENV_VARS=n "
                             "ucx_perftest -p "
                             + std::to_string(++port);
  const std::string options = " -t " + test + " -E sleep -s " + std::to_string(size) + " -n "
                              + std::to_string(count) + " -w " + std::to_string(window) + " " + mode
                              + " -O " + std::to_string(window);
  const std::string out =
      output_of("(" + common + options + " >/dev/null 2>&1 &) ; sleep 0.3; " + common + " 127.0.0.1"
                + options + " 2>/dev/null | grep Final:");
  double values[7] = {};
  if (std::sscanf(out.c_str(), "Final: %lf %lf %lf %lf %lf %lf", values + 1, values + 2, values + 3,
                  values + 4, values + 5, values + 6)
      < 4)
    throw std::runtime_error("ucx_perftest gave no figure; it is in Debian's package ucx-utils");
  return values[column];
}

/// AES-128-GCM with a fresh nonce per record, as TLS does it.
class cipher {
public:
  explicit cipher(bool encrypts) : encrypts_(encrypts), context_(EVP_CIPHER_CTX_new()) {
    const unsigned char key[16] = {1};
    EVP_CipherInit_ex(context_, EVP_aes_128_gcm(), nullptr, key, nullptr, encrypts_ ? 1 : 0);
  }
  ~cipher() { EVP_CIPHER_CTX_free(context_); }
  cipher(const cipher&) = delete;
  cipher& operator=(const cipher&) = delete;

  /// `out` gets the tag behind the record; `in` has it there when decrypting.
  void run(const unsigned char* in, unsigned char* out) {
    unsigned char nonce[12] = {};
    std::copy_n(reinterpret_cast<const unsigned char*>(&++counter_), 8, nonce);
    int n = 0;
    EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce, -1);
    EVP_CipherUpdate(context_, out, &n, in, record);
    if (!encrypts_)
      EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, tag,
                          const_cast<unsigned char*>(in) + record);
    if (EVP_CipherFinal_ex(context_, out + record, &n) != 1)
      std::abort();
    if (encrypts_)
      EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, tag, out + record);
  }

private:
  const bool encrypts_;
  EVP_CIPHER_CTX* const context_;
  std::uint64_t counter_ = 0;
};

void all(ssize_t (*call)(int, void*, std::size_t), int fd, unsigned char* at, std::size_t size) {
  while (size > 0) {
    const ssize_t n = call(fd, at, size);
    if (n <= 0)
      std::abort();
    at += n;
    size -= static_cast<std::size_t>(n);
  }
}
ssize_t write_some(int fd, void* from, std::size_t size) { return ::write(fd, from, size); }
ssize_t read_some(int fd, void* to, std::size_t size) { return ::read(fd, to, size); }

/// One end of the stream of `count` payloads, always the same `payload`.
void stream(int fd, bool sends, bool sealed, std::vector<unsigned char>& payload,
            std::size_t count) {
  const auto call = sends ? &write_some : &read_some;
  const std::size_t wire = sealed ? record + tag : record;
  std::vector<unsigned char> staging(batch * wire);
  cipher c(sends);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t at = 0; at < payload.size(); at += batch * record) {
      const std::size_t records = std::min(batch, (payload.size() - at) / record);
      if (!sealed) {
        all(call, fd, payload.data() + at, records * record);
        continue;
      }
      for (std::size_t r = 0; sends && r < records; ++r)
        c.run(payload.data() + at + r * record, staging.data() + r * wire);
      all(call, fd, staging.data(), records * wire);
      for (std::size_t r = 0; !sends && r < records; ++r)
        c.run(staging.data() + r * wire, payload.data() + at + r * record);
    }
}

} // namespace

double perftest_mib_s(std::size_t size, std::size_t count, std::size_t window,
                      const std::string& mode) {
  return perftest("ucp_am_bw", size, count, window, 6, mode);
}

double perftest_latency_us(std::size_t count) {
  return perftest("ucp_am_lat", 8, count, 1, 4, "-e");
}

double aes_mib_s(const std::string& cipher, std::size_t size) {
  const std::string out = output_of("openssl speed -evp " + cipher + " -bytes "
                                    + std::to_string(size) + " -seconds 1 2>/dev/null | tail -1");
  double thousands = 0;
  std::sscanf(out.c_str(), "%*s %lfk", &thousands);
  return thousands * 1000 / mib;
}

double socket_mib_s(bool sealed, std::size_t size, std::size_t count) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  if (::bind(listener, address, length) != 0 || ::listen(listener, 1) != 0
      || ::getsockname(listener, address, &length) != 0)
    std::abort();
  std::vector<unsigned char> payload(size);
  unsigned char sign = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::accept(listener, nullptr, nullptr);
    stream(fd, false, sealed, payload, 1);
    all(&write_some, fd, &sign, 1);
    stream(fd, false, sealed, payload, count);
    all(&write_some, fd, &sign, 1);
    ::_exit(0);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd, address, length) != 0)
    std::abort();
  stream(fd, true, sealed, payload, 1);
  all(&read_some, fd, &sign, 1);
  const auto start = clock_type::now();
  stream(fd, true, sealed, payload, count);
  all(&read_some, fd, &sign, 1);
  const double seconds = seconds_since(start);
  ::close(fd);
  ::close(listener);
  ::waitpid(child, nullptr, 0);
  return static_cast<double>(size * count) / mib / seconds;
}

} // namespace skippipe::bench
