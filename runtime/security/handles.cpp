#include "runtime/security/handles.hpp"

#include <openssl/err.h>

namespace skippipe::runtime::security {

std::string openssl_problem() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    char line[160];
    ERR_error_string_n(code, line, sizeof line);
    if (text.empty()) // the first is the cause
      text = line;
  }
  return text;
}

void require(bool sound, const char* what) {
  if (!sound)
    throw key_error(std::string("OpenSSL: ") + what + " failed (" + openssl_problem()
                    + "); check its installation");
}

} // namespace skippipe::runtime::security
