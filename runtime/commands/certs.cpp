// skippipe certs: the cluster's private certificate authority.
#include "runtime/cli.hpp"
#include "runtime/commands/cluster_option.hpp"
#include "runtime/security/authority.hpp"
#include "runtime/security/expiry.hpp"
#include "runtime/security/pem.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

namespace skippipe::runtime {

namespace {

using security::authority;
using security::issued_certificate;

struct certs_words {
  std::string dir = "keys";
  std::string cluster = "skippipe";
  std::vector<std::string> nodes, names;
  unsigned ca_days = 3650, days = 365;
  daemon::cluster_words where;
  bool new_key = false;
  bool json = false;
};

void warn(const std::string& line) {
  if (!line.empty())
    std::cerr << "skippipe: warning: " << line << '\n';
}

void warn_of_expiry(const std::filesystem::path& file) {
  if (std::filesystem::exists(file))
    warn(security::expiry_warning(security::read_certificate(file).get(), file,
                                  security::wall_clock::now()));
}

int init(const certs_words& words) {
  const auto ca = authority::create(words.dir, words.cluster, std::chrono::days{words.ca_days});
  const auto expires = security::text_of(ca.expires());
  if (words.json)
    print_json({{"dir", words.dir},
                {"name", ca.name()},
                {"ca", ca.certificate_file().string()},
                {"revoked", ca.revoked_file().string()},
                {"expires", expires}});
  else
    std::cout << "authority '" << ca.name() << "' in " << words.dir << ", until " << expires
              << "\n  keep " << words.dir
              << "/ca.key to yourself: who has it can make himself a node"
              << "\n  next: skippipe certs issue NODE --dir " << words.dir << '\n';
  return 0;
}

void print_issued(const authority& ca, const issued_certificate& one, bool json) {
  const auto files = ca.files_of(one.name);
  if (json) {
    print_json({{"name", one.name},
                {"serial", one.serial},
                {"names", one.names},
                {"expires", one.not_after},
                {"ca", files.ca.string()},
                {"certificate", files.certificate.string()},
                {"key", files.key.string()},
                {"revoked", files.revoked.string()}});
    return;
  }
  std::cout << "certificate of '" << one.name << "' until " << one.not_after << ": take "
            << files.folder.string() << "/ to that machine\n";
}

int issue(const certs_words& words) {
  authority ca{words.dir};
  warn_of_expiry(ca.certificate_file());
  for (const auto& node : words.nodes)
    print_issued(ca, ca.issue(node, words.names, std::chrono::days{words.days}), words.json);
  return 0;
}

int renew(const certs_words& words) {
  authority ca{words.dir};
  warn_of_expiry(ca.certificate_file());
  for (const auto& node : words.nodes)
    print_issued(ca, ca.renew(node, std::chrono::days{words.days}, words.new_key), words.json);
  return 0;
}

int revoke(const certs_words& words) {
  authority ca{words.dir};
  const bool tells = !words.where.cluster.empty() || std::getenv("SKIPPIPE_CLUSTER") != nullptr;
  for (const auto& node : words.nodes) {
    const auto count = ca.revoke(node);
    if (words.json)
      print_json(
          {{"name", node}, {"certificates", count}, {"revoked", ca.revoked_file().string()}});
    else
      std::cout << "revoked " << count << " certificate" << (count == 1 ? "" : "s") << " of '"
                << node << "'"
                << (tells ? ""
                          : ": take " + ca.revoked_file().string()
                                + " to a node of the cluster, which tells the others, or give "
                                  "--cluster")
                << '\n';
  }
  if (!tells)
    return 0;
  std::ifstream list{ca.revoked_file()};
  const std::string pem{std::istreambuf_iterator<char>{list}, {}};
  daemon::client{words.where}.order("revoke", pem);
  std::cerr << "the cluster knows, its nodes will within seconds\n";
  return 0;
}

int list(const certs_words& words) {
  const authority ca{words.dir};
  warn_of_expiry(ca.certificate_file());
  const auto now = security::text_of(security::wall_clock::now());
  if (ca.issued().empty() && !words.json)
    std::cout << "no certificate was issued yet; next: skippipe certs issue NODE --dir "
              << words.dir << '\n';
  for (const auto& one : ca.issued()) {
    const auto* state = !one.revoked_at.empty() ? "revoked"
                        : one.not_after <= now  ? "expired"
                                                : "valid";
    if (words.json) {
      nlohmann::json object = {{"name", one.name},
                               {"serial", one.serial},
                               {"names", one.names},
                               {"expires", one.not_after},
                               {"state", state}};
      if (!one.revoked_at.empty())
        object["revoked_at"] = one.revoked_at;
      print_json(object);
    } else {
      std::printf("%-24s %-8s until %s  %s\n", one.name.c_str(), state, one.not_after.c_str(),
                  one.serial.c_str());
    }
  }
  for (const auto& one : ca.issued())
    if (const auto file = ca.files_of(one.name).certificate;
        std::filesystem::exists(file)
        && security::serial_of(security::read_certificate(file).get()) == one.serial)
      warn_of_expiry(file);
  return 0;
}

} // namespace

void add_certs(CLI::App& app, command_context& context) {
  auto* certs = app.add_subcommand("certs", "Keep the cluster's own certificate authority");
  certs->require_subcommand(1);
  auto words = std::make_shared<certs_words>();
  const auto add = [&](const char* name, const char* about, int (*run)(const certs_words&)) {
    auto* command = certs->add_subcommand(name, about);
    command->add_option("--dir", words->dir, "The authority's folder")->capture_default_str();
    command->add_flag("--json", words->json, "JSON on stdout");
    command->callback(
        [&context, words, run] { context.run = [words, run] { return run(*words); }; });
    return command;
  };
  auto* making = add("init", "Make an authority", init);
  making->add_option("--name", words->cluster, "The authority's name, such as the cluster's")
      ->capture_default_str();
  making->add_option("--days", words->ca_days, "Days until it expires")->capture_default_str();

  const auto nodes = [&](CLI::App* command) {
    command->add_option("NODE", words->nodes, "The node's name, as node.name in its file")
        ->required();
  };
  const auto days = [&](CLI::App* command) {
    command->add_option("--days", words->days, "Days until it expires")->capture_default_str();
  };
  auto* issuing = add("issue", "Make key and certificate of a node", issue);
  nodes(issuing);
  days(issuing);
  issuing->add_option("--name", words->names,
                      "A DNS name or an address that others dial the node by; may be repeated");
  auto* renewing = add("renew", "Make a new certificate of a node that has one", renew);
  nodes(renewing);
  days(renewing);
  renewing->add_flag("--new-key", words->new_key, "Make a new key, too");
  auto* revoking = add("revoke", "End all certificates of a node", revoke);
  nodes(revoking);
  add_cluster_options(*revoking, words->where);
  add("list", "Show what was issued", list);
}

} // namespace skippipe::runtime
