#include "runtime/daemon/key_watch.hpp"

#include "runtime/security/expiry.hpp"
#include "runtime/security/key_check.hpp"
#include "runtime/security/pem.hpp"

#include <utility>

namespace skippipe::runtime::daemon {

namespace {

std::filesystem::path own_list(const node_config& node) {
  std::filesystem::create_directories(node.state_dir());
  return std::filesystem::absolute(node.state_dir()) / "revoked.pem";
}

} // namespace

key_watch::key_watch(const node_config& node, std::function<void(const std::string&)> log)
    : ca_(node.ca), certificate_(node.certificate), log_(std::move(log)),
      list_(node.ca, node.revoked.empty() ? security::revoked_beside(node.ca) : node.revoked,
            own_list(node)),
      warn_again_(security::wall_clock::now() + std::chrono::days{1}) {}

bool key_watch::take(const std::string& pem) {
  const bool newer = list_.take(pem);
  if (newer)
    log_("took over a newer list of revoked certificates, number "
         + std::to_string(list_.number()));
  return newer;
}

bool key_watch::look() {
  try {
    warn_of_expiry();
    const bool newer = list_.look();
    if (newer)
      log_("read a newer list of revoked certificates, number " + std::to_string(list_.number()));
    return newer;
  } catch (const security::key_error& problem) {
    log_(problem.what());
    return false;
  }
}

void key_watch::warn_of_expiry() {
  const auto now = security::wall_clock::now();
  if (now < warn_again_)
    return;
  warn_again_ = now + std::chrono::days{1};
  for (const auto& file : {ca_, certificate_})
    if (const auto line =
            security::expiry_warning(security::read_certificate(file).get(), file, now);
        !line.empty())
      log_("warning: " + line);
}

} // namespace skippipe::runtime::daemon
