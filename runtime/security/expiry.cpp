#include "runtime/security/expiry.hpp"

namespace skippipe::runtime::security {

std::string expiry_warning(const X509* certificate, const std::filesystem::path& file,
                           wall_clock::time_point now) {
  const auto end = not_after(certificate);
  if (end - now > expiry_notice)
    return {};
  const auto days = std::chrono::floor<std::chrono::days>(end - now).count();
  const auto when = end <= now  ? "expired on " + text_of(end)
                    : days == 0 ? "expires within a day"
                    : days == 1 ? std::string("expires in 1 day")
                                : "expires in " + std::to_string(days) + " days";
  const bool authority = X509_check_ca(const_cast<X509*>(certificate)) != 0;
  return file.string() + ": " + when
         + (authority ? "; make a new authority with `skippipe certs init`"
                      : "; run `skippipe certs renew " + name_of(certificate) + "`");
}

} // namespace skippipe::runtime::security
