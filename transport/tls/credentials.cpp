#include "transport/tls/credentials.hpp"

#include <openssl/err.h>

#include <sys/stat.h>
#include <unistd.h>

namespace skippipe::transport::tls {

credentials::stamps credentials::look() const {
  stamps now;
  std::size_t i = 0;
  for (const auto* file : {&files_.ca, &files_.certificate, &files_.key, &files_.revoked}) {
    struct stat info {};
    if (!file->empty() && ::stat(file->c_str(), &info) == 0)
      now[i] = {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino};
    ++i;
  }
  return now;
}

bool credentials::read(std::string& problem) {
  auto files = files_;
  if (revoked_ == nullptr && ::access(files.revoked.c_str(), F_OK) != 0)
    files.revoked.clear(); // It may come; once there it must stay.
  auto fresh = make_ssl_context(files, problem);
  if (fresh == nullptr)
    return false;
  unique_crl list;
  if (!files.revoked.empty() && (list = read_revocation_list(files.ca, files.revoked)) == nullptr) {
    problem = "revocation list '" + files.revoked + "': " + ssl_problem();
    return false;
  }
  if (adjust_)
    adjust_(fresh.get());
  context_ = std::move(fresh);
  revoked_ = std::move(list);
  return true;
}

bool credentials::load(credential_files files, std::string& problem) {
  files_ = std::move(files);
  seen_ = look(); // before reading: what changes meanwhile is seen later
  return read(problem);
}

bool credentials::refresh(std::string& problem) {
  const stamps now = look();
  if (now == seen_)
    return false;
  seen_ = now;
  return read(problem);
}

bool credentials::revoked(const SSL* ssl) const {
  X509* peer = SSL_get0_peer_certificate(ssl);
  X509_REVOKED* entry = nullptr;
  return revoked_ != nullptr && peer != nullptr
         && X509_CRL_get0_by_cert(revoked_.get(), &entry, peer) == 1;
}

} // namespace skippipe::transport::tls
