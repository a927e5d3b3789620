// The cluster's private certificate authority: one folder on one machine.
//
//   DIR/ca.pem        its certificate; every node has a copy
//   DIR/ca.key        its key (0600): stays here
//   DIR/revoked.pem   what no longer holds; every node has a copy
//   DIR/issued.json   what was issued, and what of it was revoked
//   DIR/NODE/         all that goes to a node: ca.pem, revoked.pem, certificate.pem, key.pem (0600)
//
// Whoever holds ca.key can make himself a node: keep the folder off the nodes. Not safe for several
// threads; several processes take turns (a lock on the folder).
#pragma once

#include "runtime/security/certificate.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::security {

/// One certificate that the authority has signed; times are UTC.
struct issued_certificate {
  std::string name;               ///< The node's.
  std::string serial;             ///< Hexadecimal.
  std::vector<std::string> names; ///< DNS names and addresses.
  std::string not_after;          ///< "2027-01-31T12:00:00Z".
  std::string revoked_at;         ///< "" while it holds.
};

/// The files of one node.
struct node_files {
  std::filesystem::path folder, ca, certificate, key, revoked;
};

class authority {
public:
  /// Makes one in `folder`; refuses where one is.
  static authority create(const std::filesystem::path& folder, const std::string& name,
                          std::chrono::days life);
  /// Opens the one in `folder`.
  explicit authority(std::filesystem::path folder);
  authority(authority&&) noexcept;
  ~authority();

  /// Makes key and certificate of a node; refuses a name that has some.
  issued_certificate issue(const std::string& node, const std::vector<std::string>& names,
                           std::chrono::days life);
  /// A new certificate for a node that has one: for the same key, or for a new one. Its older
  /// certificates hold until they expire.
  issued_certificate renew(const std::string& node, std::chrono::days life, bool new_key);
  /// Every certificate of `node` that has not expired ends now; returns how many. Renews the
  /// revocation list in every node's folder here; daemons that read it from elsewhere need a copy.
  std::size_t revoke(const std::string& node);

  const std::vector<issued_certificate>& issued() const { return issued_; }
  node_files files_of(const std::string& node) const;
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path certificate_file() const { return folder_ / "ca.pem"; }
  std::filesystem::path revoked_file() const { return folder_ / "revoked.pem"; }
  std::string name() const { return name_of(certificate_.get()); }
  wall_clock::time_point expires() const { return not_after(certificate_.get()); }

private:
  class folder_lock;
  static void make_files(const std::filesystem::path& folder, const std::string& name,
                         std::chrono::days life);
  issued_certificate sign(EVP_PKEY* key, const std::string& node,
                          const std::vector<std::string>& names, std::chrono::days life);
  key_error never_issued(const std::string& node) const;
  void read_issued();
  void write_issued() const;
  void write_revoked() const;

  std::filesystem::path folder_;
  unique_certificate certificate_;
  unique_key key_;
  std::vector<issued_certificate> issued_;
  std::unique_ptr<folder_lock> lock_;
};

/// Throws key_error unless `node` can name a certificate, a folder and a host.
void check_node_name(const std::string& node);

} // namespace skippipe::runtime::security
