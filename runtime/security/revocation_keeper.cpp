#include "runtime/security/revocation_keeper.hpp"

#include "runtime/security/pem.hpp"

#include <openssl/x509.h>

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <utility>

namespace skippipe::runtime::security {

namespace fs = std::filesystem;

namespace {

std::string text_of_file(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// All zero where there is none.
std::array<std::int64_t, 4> stamp_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0)
    return {};
  return {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size,
          static_cast<std::int64_t>(info.st_ino)};
}

/// Of an earlier authority of the cluster, say.
bool is_usable(const fs::path& list, const fs::path& ca) {
  try {
    const auto read = read_crl(list);
    const auto authority = read_certificate(ca);
    const bool good = X509_CRL_verify(read.get(), X509_get0_pubkey(authority.get())) == 1;
    openssl_problem();
    return good;
  } catch (const key_error&) {
    return false;
  }
}

} // namespace

revocation_keeper::revocation_keeper(fs::path ca, fs::path given, fs::path own)
    : ca_(std::move(ca)), given_(std::move(given)), own_(std::move(own)) {
  std::error_code absent;
  if (fs::exists(own_, absent) && !is_usable(own_, ca_))
    fs::remove(own_, absent);
  seen_ = stamp_of(given_); // Before reading: what changes meanwhile is seen later.
  if (seen_ != decltype(seen_){})
    install_revocations(text_of_file(given_), ca_, own_);
}

bool revocation_keeper::look() {
  const std::lock_guard guard{mutex_};
  const auto now = stamp_of(given_);
  if (now == decltype(now){} || std::exchange(seen_, now) == now)
    return false;
  const auto text = text_of_file(given_);
  if (install_revocations(text, ca_, own_))
    return true;
  if (number_of(parse_crl(text, given_.string()).get()) < number_now())
    throw key_error(given_.string() + ": is older than the list in use, which stays");
  return false;
}

bool revocation_keeper::take(const std::string& pem) {
  const std::lock_guard guard{mutex_};
  return install_revocations(pem, ca_, own_);
}

std::string revocation_keeper::pem() const {
  const std::lock_guard guard{mutex_};
  return text_of_file(own_);
}

std::uint64_t revocation_keeper::number() const {
  const std::lock_guard guard{mutex_};
  return number_now();
}

std::uint64_t revocation_keeper::number_now() const {
  std::error_code absent;
  return fs::exists(own_, absent) ? number_of(read_crl(own_).get()) : 0;
}

} // namespace skippipe::runtime::security
