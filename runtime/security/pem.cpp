#include "runtime/security/pem.hpp"

#include <openssl/pem.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace skippipe::runtime::security {

namespace fs = std::filesystem;

namespace {

/// What a user may put into a key file by mistake is small; the rest is not read.
constexpr long most_bytes = 1 << 20;

unique_bio open(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0)
    throw key_error(file.string() + ": cannot be read: " + std::strerror(errno));
  if (!S_ISREG(info.st_mode) || info.st_size > most_bytes)
    throw key_error(file.string() + ": expected a PEM file; check the path");
  unique_bio bio(BIO_new_file(file.c_str(), "r"));
  if (bio == nullptr) {
    openssl_problem();
    throw key_error(file.string() + ": cannot be read: " + std::strerror(errno));
  }
  return bio;
}

/// A passphrase is never asked for: nobody is there to answer a daemon's question.
int no_passphrase(char*, int, int, void*) { return -1; }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void write_all(int fd, const std::string& text, const fs::path& file) {
  std::size_t done = 0;
  while (done < text.size()) {
    const auto n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR)
      throw key_error(file.string() + ": cannot be written: " + std::strerror(errno));
    done += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
}

} // namespace

unique_certificate read_certificate(const fs::path& file) {
  const auto bio = open(file);
  unique_certificate x(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  openssl_problem();
  if (x == nullptr)
    throw key_error(file.string() + ": expected a certificate in PEM");
  return x;
}

unique_key read_key(const fs::path& file) {
  const auto bio = open(file);
  unique_key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  openssl_problem();
  if (key == nullptr)
    throw key_error(file.string() + ": expected a private key in PEM without a passphrase");
  return key;
}

unique_crl parse_crl(const std::string& pem, const std::string& source) {
  const unique_bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  unique_crl list(PEM_read_bio_X509_CRL(bio.get(), nullptr, no_passphrase, nullptr));
  openssl_problem();
  if (list == nullptr)
    throw key_error(source + ": expected a revocation list in PEM");
  return list;
}

unique_crl read_crl(const fs::path& file) {
  const auto bio = open(file);
  unique_crl list(PEM_read_bio_X509_CRL(bio.get(), nullptr, no_passphrase, nullptr));
  openssl_problem();
  if (list == nullptr)
    throw key_error(file.string() + ": expected a revocation list in PEM");
  return list;
}

std::string to_pem(X509* certificate) {
  const unique_bio bio(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(bio.get(), certificate) == 1, "writing a certificate");
  return text_of(bio.get());
}

std::string to_pem(X509_CRL* list) {
  const unique_bio bio(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509_CRL(bio.get(), list) == 1, "writing a revocation list");
  return text_of(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
  const unique_bio bio(BIO_new(BIO_s_secmem()));
  require(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "writing a key");
  return text_of(bio.get());
}

void write_file(const fs::path& file, const std::string& text, access who) {
  auto aside = file;
  aside += ".tmp";
  std::error_code ignored;
  fs::remove(aside, ignored); // its mode might be another
  const mode_t mode = who == access::owner ? 0600 : 0644;
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0)
    throw key_error(file.string() + ": cannot be written: " + std::strerror(errno));
  try {
    write_all(fd, text, file);
    if (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0 || ::rename(aside.c_str(), file.c_str()) != 0)
      throw key_error(file.string() + ": cannot be written: " + std::strerror(errno));
  } catch (...) {
    ::close(fd);
    fs::remove(aside, ignored);
    throw;
  }
  ::close(fd);
}

void make_private_folder(const fs::path& folder) {
  std::error_code problem;
  if (fs::is_directory(folder, problem))
    return;
  if (folder.has_parent_path())
    fs::create_directories(folder.parent_path(), problem);
  if (::mkdir(folder.c_str(), 0700) != 0)
    throw key_error(folder.string() + ": cannot be made: " + std::strerror(errno));
}

bool is_exposed(const fs::path& file) {
  struct stat info {};
  return ::stat(file.c_str(), &info) == 0 && (info.st_mode & 077) != 0;
}

} // namespace skippipe::runtime::security
