#include "runtime/daemon/token_door.hpp"

#include "runtime/security/certificate.hpp"
#include "runtime/security/token_store.hpp"

#include <memory>

namespace skippipe::runtime::daemon {

void use_tokens(coordinator_options& options, const std::filesystem::path& folder) {
  using security::token_store;
  const auto tokens = std::make_shared<token_store>(folder);
  options.admit = [tokens](const std::string& name, const std::string& token, bool only_asks) {
    const auto now = token_store::clock::now();
    return only_asks ? tokens->obstacle(name, token, now) : tokens->admit(name, token, now);
  };
  options.forget = [tokens](const std::string& name) { tokens->forget(name); };
  options.make_token = [tokens](double seconds) {
    const auto now = token_store::clock::now();
    const std::chrono::seconds life{static_cast<std::int64_t>(seconds) + 1};
    const auto token = tokens->create(life, now);
    return nlohmann::json{{"token", token}, {"expires", security::text_of(now + life)}}.dump();
  };
}

} // namespace skippipe::runtime::daemon
