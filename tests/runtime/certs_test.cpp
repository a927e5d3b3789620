// The private authority: what it makes, what it refuses, what OpenSSL thinks of the result.
#include "runtime/security/authority.hpp"
#include "runtime/security/expiry.hpp"
#include "runtime/security/pem.hpp"
#include "runtime/security/revocations.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <fstream>
#include <sstream>

using namespace skippipe::runtime::security;
using skippipe::runtime::testing::scratch_folder;
namespace fs = std::filesystem;
using std::chrono::days;

namespace {

unsigned mode_of(const fs::path& file) {
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

/// What OpenSSL says to a certificate under an authority; X509_V_OK when it holds.
int verify(const fs::path& ca, const fs::path& certificate, const fs::path& revoked = {}) {
  const auto authority = read_certificate(ca);
  const auto x = read_certificate(certificate);
  const std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), authority.get());
  unique_crl list;
  if (!revoked.empty()) {
    list = read_crl(revoked);
    X509_STORE_add_crl(store.get(), list.get());
    X509_STORE_set_flags(store.get(), X509_V_FLAG_CRL_CHECK);
  }
  const std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>> context(
      X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), x.get(), nullptr);
  X509_verify_cert(context.get());
  openssl_problem();
  return X509_STORE_CTX_get_error(context.get());
}

} // namespace

TEST_CASE("an authority is made once, with private keys", "[certs]") {
  const scratch_folder at;
  const auto dir = at / "deep" / "keys";
  {
    const auto ca = authority::create(dir, "lab", days{100});
    CHECK(ca.name() == "lab");
    CHECK(ca.expires() > wall_clock::now() + days{99});
    CHECK(ca.expires() <= wall_clock::now() + days{100});
  }
  CHECK(mode_of(dir) == 0700);
  CHECK(mode_of(dir / "ca.key") == 0600);
  CHECK_FALSE(is_exposed(dir / "ca.key"));
  CHECK(is_exposed(dir / "ca.pem"));
  CHECK_THROWS_WITH(authority::create(dir, "lab", days{100}),
                    Catch::Contains("ca.key: an authority is here already"));
  CHECK_THROWS_WITH(authority{at / "deep"}, Catch::Contains("no authority is here"));
  CHECK_THROWS_WITH(authority::create(at / "other", "lab", days{0}),
                    Catch::Contains("expected 1 to 36500 days"));
}

TEST_CASE("a node's certificate holds under its authority only", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{100});
  const auto other = authority::create(at / "others", "lab", days{100});
  const auto one = ca.issue("paris-1", {"10.0.0.5", "paris.lan", "fd00::5"}, days{365});
  const auto files = ca.files_of("paris-1");
  CHECK(mode_of(files.key) == 0600);
  CHECK(verify(files.ca, files.certificate) == X509_V_OK);
  CHECK(verify(other.certificate_file(), files.certificate) != X509_V_OK);
  const auto x = read_certificate(files.certificate);
  const auto key = read_key(files.key);
  CHECK(X509_check_private_key(x.get(), key.get()) == 1);
  CHECK(name_of(x.get()) == "paris-1");
  CHECK(serial_of(x.get()) == one.serial);
  CHECK(alternative_names(x.get())
        == std::vector<std::string>{"paris-1", "10.0.0.5", "paris.lan", "fd00::5"});
  CHECK(X509_check_ca(x.get()) == 0);
  CHECK(not_after(x.get()) == ca.expires()); // never longer than the authority's
}

TEST_CASE("nothing is overwritten unasked", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{100});
  const auto first = ca.issue("a", {}, days{10});
  const auto before = to_pem(read_key(ca.files_of("a").key).get());
  CHECK_THROWS_WITH(ca.issue("a", {}, days{10}), Catch::Contains("is there already"));
  for (const auto* bad : {"", "..", "a/b", "a b", "-x", "a,DNS:b", "caf\xc3\xa9"})
    CHECK_THROWS_AS(ca.issue(bad, {}, days{10}), key_error);
  CHECK_THROWS_WITH(ca.issue("ca.pem", {}, days{10}), Catch::Contains("a file has this name"));
  CHECK_THROWS_AS(ca.issue("b", {"x,IP:1.2.3.4"}, days{10}), key_error);
  CHECK(to_pem(read_key(ca.files_of("a").key).get()) == before);
  CHECK(ca.issued().size() == 1);
}

TEST_CASE("a certificate is renewed for its key, or for a new one", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{1000});
  const auto first = ca.issue("a", {"10.0.0.1"}, days{10});
  const auto files = ca.files_of("a");
  const auto key = to_pem(read_key(files.key).get());
  const auto second = ca.renew("a", days{300}, false);
  CHECK(second.serial != first.serial);
  CHECK(second.names == first.names);
  CHECK(to_pem(read_key(files.key).get()) == key);
  CHECK(not_after(read_certificate(files.certificate).get()) > wall_clock::now() + days{299});
  ca.renew("a", days{300}, true);
  CHECK(to_pem(read_key(files.key).get()) != key);
  CHECK(X509_check_private_key(read_certificate(files.certificate).get(), read_key(files.key).get())
        == 1);
  CHECK_THROWS_AS(ca.renew("b", days{300}, false), key_error);
}

TEST_CASE("revoking ends every certificate of a node and no other", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{1000});
  ca.issue("stolen", {}, days{10});
  ca.renew("stolen", days{20}, false);
  ca.issue("good", {}, days{10});
  CHECK(verify(ca.certificate_file(), ca.files_of("stolen").certificate, ca.revoked_file())
        == X509_V_OK);
  const auto number = number_of(read_crl(ca.revoked_file()).get());
  CHECK(ca.revoke("stolen") == 2);
  CHECK(ca.revoke("stolen") == 0);
  CHECK(number_of(read_crl(ca.revoked_file()).get()) > number);
  const auto list = ca.files_of("good").revoked; // a node's copy
  CHECK(verify(ca.certificate_file(), ca.files_of("stolen").certificate, list)
        == X509_V_ERR_CERT_REVOKED);
  CHECK(verify(ca.certificate_file(), ca.files_of("good").certificate, list) == X509_V_OK);
  CHECK_THROWS_WITH(ca.revoke("nobody"), Catch::Contains("no certificate was issued"));
  CHECK_THROWS_WITH(ca.renew("stolen", days{10}, false), Catch::Contains("--new-key"));
  // A node whose clock lags takes the fresh list too.
  const auto lagging = wall_clock::now() - std::chrono::minutes{5};
  CHECK(ASN1_TIME_cmp_time_t(X509_CRL_get0_lastUpdate(read_crl(list).get()),
                             wall_clock::to_time_t(lagging))
        < 0);
  ca.renew("stolen", days{10}, true); // the machine came back
  CHECK(verify(ca.certificate_file(), ca.files_of("stolen").certificate, list) == X509_V_OK);
}

TEST_CASE("the authority remembers what it did", "[certs]") {
  const scratch_folder at;
  {
    auto ca = authority::create(at / "keys", "lab", days{1000});
    ca.issue("a", {}, days{10});
    ca.revoke("a");
  }
  {
    authority ca{at / "keys"};
    REQUIRE(ca.issued().size() == 1);
    CHECK(ca.issued()[0].name == "a");
    CHECK_FALSE(ca.issued()[0].revoked_at.empty());
    ca.issue("b", {}, days{10});
    ca.revoke("b");
    CHECK(verify(ca.certificate_file(), ca.files_of("a").certificate, ca.revoked_file())
          == X509_V_ERR_CERT_REVOKED);
  }
  std::ofstream(at / "keys" / "issued.json") << "{";
  CHECK_THROWS_WITH(authority{at / "keys"}, Catch::Contains("issued.json"));
}

TEST_CASE("a revocation list is taken from peers when it is newer and genuine", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{1000});
  auto other = authority::create(at / "others", "lab", days{1000});
  ca.issue("a", {}, days{10});
  other.issue("a", {}, days{10});
  const auto old = to_pem(read_crl(ca.revoked_file()).get());
  ca.revoke("a");
  other.revoke("a");
  const auto fresh = to_pem(read_crl(ca.revoked_file()).get());
  const auto mine = at / "mine.pem";
  CHECK(install_revocations(old, ca.certificate_file(), mine));
  CHECK(install_revocations(fresh, ca.certificate_file(), mine));
  CHECK_FALSE(install_revocations(old, ca.certificate_file(), mine));
  CHECK_FALSE(install_revocations(fresh, ca.certificate_file(), mine));
  const auto forged = to_pem(read_crl(other.revoked_file()).get());
  CHECK_THROWS_WITH(install_revocations(forged, ca.certificate_file(), mine),
                    Catch::Contains("did not sign it"));
  CHECK_THROWS_AS(install_revocations("nonsense", ca.certificate_file(), mine), key_error);
  CHECK(to_pem(read_crl(mine).get()) == fresh);
}

TEST_CASE("the end of a certificate is announced", "[certs]") {
  const scratch_folder at;
  auto ca = authority::create(at / "keys", "lab", days{1000});
  ca.issue("a", {}, days{100});
  const auto file = ca.files_of("a").certificate;
  const auto x = read_certificate(file);
  const auto end = not_after(x.get());
  CHECK(expiry_warning(x.get(), file, end - days{31}) == "");
  CHECK(expiry_warning(x.get(), file, end - days{12})
        == file.string()
               + ": expires in 12 days; run `skippipe "
                 "certs renew a`");
  CHECK_THAT(expiry_warning(x.get(), file, end - std::chrono::hours{1}),
             Catch::Contains("within a day"));
  CHECK_THAT(expiry_warning(x.get(), file, end), Catch::Contains("expired on"));
  const auto root = read_certificate(ca.certificate_file());
  CHECK_THAT(expiry_warning(root.get(), "ca.pem", not_after(root.get())),
             Catch::Contains("certs init"));
}

TEST_CASE("what is no PEM is named", "[certs]") {
  const scratch_folder at;
  std::ofstream(at / "x.pem") << "hello";
  CHECK_THROWS_WITH(read_certificate(at / "x.pem"),
                    Catch::Contains("x.pem: expected a certificate"));
  CHECK_THROWS_WITH(read_key(at / "x.pem"), Catch::Contains("x.pem: expected a private key"));
  CHECK_THROWS_WITH(read_crl(at / "x.pem"), Catch::Contains("x.pem: expected a revocation list"));
  CHECK_THROWS_WITH(read_key(at / "absent"), Catch::Contains("cannot be read"));
  CHECK_THROWS_WITH(read_key(at / "."), Catch::Contains("expected a PEM file"));
}
