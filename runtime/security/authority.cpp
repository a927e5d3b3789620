#include "runtime/security/authority.hpp"

#include "runtime/security/pem.hpp"
#include "runtime/security/revocations.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

namespace skippipe::runtime::security {

namespace fs = std::filesystem;

/// Held for as long as an authority is open.
class authority::folder_lock {
public:
  explicit folder_lock(const fs::path& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX) != 0) {
      const int error = errno;
      if (fd_ >= 0)
        ::close(fd_);
      throw key_error(folder.string() + ": cannot be opened: " + std::strerror(error));
    }
  }
  ~folder_lock() { ::close(fd_); }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;

private:
  int fd_;
};

namespace {

void check_life(std::chrono::days life) {
  if (life.count() < 1 || life.count() > 36'500)
    throw key_error("expected 1 to 36500 days, got " + std::to_string(life.count()));
}

void check_alternative(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 253
                     && std::all_of(name.begin(), name.end(), [](unsigned char c) {
                          return std::isalnum(c) != 0 || std::strchr(".-_:*", c) != nullptr;
                        });
  if (!plain) // a comma would begin another entry of the extension
    throw key_error("expected a DNS name or an address, got '" + name + "'");
}

} // namespace

void check_node_name(const std::string& node) {
  const bool plain = !node.empty() && node.size() <= 63 && node.front() != '.'
                     && node.front() != '-'
                     && std::all_of(node.begin(), node.end(), [](unsigned char c) {
                          return std::isalnum(c) != 0 || std::strchr("._-", c) != nullptr;
                        });
  if (!plain)
    throw key_error("expected a node's name of 1 to 63 letters, digits, '.', '_' or '-', got '"
                    + node + "'");
}

authority authority::create(const fs::path& folder, const std::string& name,
                            std::chrono::days life) {
  check_life(life);
  check_node_name(name);
  make_private_folder(folder);
  make_files(folder, name, life);
  return authority{folder};
}

void authority::make_files(const fs::path& folder, const std::string& name,
                           std::chrono::days life) {
  const folder_lock lock(folder);
  if (fs::exists(folder / "ca.key"))
    throw key_error((folder / "ca.key").string()
                    + ": an authority is here already; name another folder with --dir");
  const auto key = make_key();
  const auto certificate = make_authority_certificate(key.get(), name, wall_clock::now(), life);
  // The key last: without it there is no authority, and `init` can be run again.
  write_file(folder / "issued.json", "{\"certificates\":[]}\n", access::everyone);
  write_file(folder / "revoked.pem",
             to_pem(make_revocation_list({}, certificate.get(), key.get()).get()),
             access::everyone);
  write_file(folder / "ca.pem", to_pem(certificate.get()), access::everyone);
  write_file(folder / "ca.key", to_pem(key.get()), access::owner);
}

authority::authority(fs::path folder) : folder_(std::move(folder)) {
  if (!fs::exists(folder_ / "ca.key"))
    throw key_error((folder_ / "ca.key").string()
                    + ": no authority is here; `skippipe certs init` makes one");
  lock_ = std::make_unique<folder_lock>(folder_);
  certificate_ = read_certificate(folder_ / "ca.pem");
  key_ = read_key(folder_ / "ca.key");
  if (X509_check_private_key(certificate_.get(), key_.get()) != 1) {
    openssl_problem();
    throw key_error((folder_ / "ca.key").string() + ": does not belong to ca.pem beside it");
  }
  read_issued();
}

authority::authority(authority&&) noexcept = default;
authority::~authority() = default;

node_files authority::files_of(const std::string& node) const {
  const auto at = folder_ / node;
  return {at, at / "ca.pem", at / "certificate.pem", at / "key.pem", at / "revoked.pem"};
}

issued_certificate authority::sign(EVP_PKEY* key, const std::string& node,
                                   const std::vector<std::string>& names, std::chrono::days life) {
  const auto now = wall_clock::now();
  if (expires() <= now)
    throw key_error(certificate_file().string() + ": expired on " + text_of(expires())
                    + "; make a new authority and issue all certificates again");
  const auto x = make_node_certificate(key, node, names, certificate_.get(), key_.get(), now, life);
  issued_certificate entry{node, serial_of(x.get()), alternative_names(x.get()),
                           text_of(not_after(x.get())), ""};
  // Recorded first: what is not known here could not be revoked.
  issued_.push_back(entry);
  write_issued();
  const auto files = files_of(node);
  write_file(files.ca, to_pem(certificate_.get()), access::everyone);
  write_file(files.certificate, to_pem(x.get()), access::everyone);
  std::error_code problem;
  fs::copy_file(revoked_file(), files.revoked, fs::copy_options::overwrite_existing, problem);
  if (problem)
    throw key_error(files.revoked.string() + ": cannot be written: " + problem.message());
  return entry;
}

issued_certificate authority::issue(const std::string& node, const std::vector<std::string>& names,
                                    std::chrono::days life) {
  check_life(life);
  check_node_name(node);
  std::for_each(names.begin(), names.end(), check_alternative);
  const auto files = files_of(node);
  if (fs::exists(files.folder) && !fs::is_directory(files.folder))
    throw key_error(files.folder.string() + ": a file has this name; choose another");
  for (const auto& file : {files.certificate, files.key})
    if (fs::exists(file))
      throw key_error(file.string() + ": is there already; `skippipe certs renew " + node
                      + "` replaces the certificate");
  make_private_folder(files.folder);
  const auto key = make_key();
  write_file(files.key, to_pem(key.get()), access::owner);
  return sign(key.get(), node, names, life);
}

key_error authority::never_issued(const std::string& node) const {
  return key_error("no certificate was issued for '" + node + "'; `skippipe certs list --dir "
                   + folder_.string() + "` shows all");
}

issued_certificate authority::renew(const std::string& node, std::chrono::days life, bool new_key) {
  check_life(life);
  check_node_name(node);
  const auto files = files_of(node);
  if (!fs::exists(files.certificate)
      && std::none_of(issued_.begin(), issued_.end(),
                      [&](const auto& entry) { return entry.name == node; }))
    throw never_issued(node);
  const auto old = read_certificate(files.certificate);
  auto names = alternative_names(old.get());
  std::erase(names, node);
  if (new_key) {
    const auto key = make_key();
    write_file(files.key, to_pem(key.get()), access::owner);
    return sign(key.get(), node, names, life);
  }
  const auto serial = serial_of(old.get());
  for (const auto& entry : issued_)
    if (entry.serial == serial && !entry.revoked_at.empty())
      throw key_error(files.certificate.string() + ": was revoked on " + entry.revoked_at
                      + "; its key may be in other hands, give --new-key");
  return sign(X509_get0_pubkey(old.get()), node, names, life);
}

std::size_t authority::revoke(const std::string& node) {
  const auto now = text_of(wall_clock::now());
  std::size_t known = 0, revoked = 0;
  for (auto& entry : issued_) {
    if (entry.name != node)
      continue;
    ++known;
    if (!entry.revoked_at.empty() || entry.not_after <= now)
      continue;
    entry.revoked_at = now;
    ++revoked;
  }
  if (known == 0)
    throw never_issued(node);
  write_issued();
  write_revoked();
  return revoked;
}

void authority::write_revoked() const {
  std::vector<revoked_serial> serials;
  const auto now = text_of(wall_clock::now());
  for (const auto& entry : issued_)
    if (!entry.revoked_at.empty() && entry.not_after > now) // the others are refused as expired
      serials.push_back({entry.serial, wall_clock::now()});
  const auto text = to_pem(make_revocation_list(serials, certificate_.get(), key_.get()).get());
  write_file(revoked_file(), text, access::everyone);
  for (const auto& entry : fs::directory_iterator(folder_))
    if (fs::exists(entry.path() / "certificate.pem"))
      write_file(entry.path() / "revoked.pem", text, access::everyone);
}

void authority::read_issued() {
  const auto file = folder_ / "issued.json";
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  try {
    const auto all = nlohmann::json::parse(text.str());
    for (const auto& one : all.at("certificates"))
      issued_.push_back({one.at("name"), one.at("serial"), one.at("names"), one.at("not_after"),
                         one.value("revoked_at", "")});
  } catch (const nlohmann::json::exception&) {
    throw key_error(file.string()
                    + ": expected the list of issued certificates; restore it from a "
                      "backup, without it nothing can be revoked");
  }
}

void authority::write_issued() const {
  auto all = nlohmann::json::array();
  for (const auto& entry : issued_) {
    nlohmann::json one = {{"name", entry.name},
                          {"serial", entry.serial},
                          {"names", entry.names},
                          {"not_after", entry.not_after}};
    if (!entry.revoked_at.empty())
      one["revoked_at"] = entry.revoked_at;
    all.push_back(std::move(one));
  }
  write_file(folder_ / "issued.json", nlohmann::json{{"certificates", all}}.dump(1) + "\n",
             access::everyone);
}

} // namespace skippipe::runtime::security
