// One-time join tokens: who may enter a cluster for the first time.
//
// A token is 32 random characters; the scheduler keeps only its hash, in `tokens.log` of its journal
// folder: one line per event, appended and synced before anyone acts on it. The command line (create)
// and a running scheduler (admit) may use the file at the same time: each holds a lock and reads what
// the other has added.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace skippipe::runtime::security {

class token_store {
public:
  using clock = std::chrono::system_clock;

  /// The store in `folder`, which is made when it is not there. Throws key_error.
  explicit token_store(const std::filesystem::path& folder);

  /// A fresh token; not stored anywhere in clear.
  std::string create(std::chrono::seconds life, clock::time_point now);

  /// Whether a node called `name` may join: it has been admitted before, or `token` is unused and has
  /// not expired, and is used up now. Until the first token is made everybody may, and is known from
  /// then on. "" or the reason to refuse, in one line.
  std::string admit(const std::string& name, const std::string& token, clock::time_point now);
  /// What `admit` would answer; nothing changes by it.
  std::string obstacle(const std::string& name, const std::string& token, clock::time_point now);

  /// A node that was admitted must bring a new token.
  void forget(const std::string& name);

  /// Tokens that could still be used at `now`.
  std::size_t unused(clock::time_point now);

private:
  struct ticket {
    clock::time_point expires;
    bool used = false;
  };
  class session;
  void apply(const std::string& line);
  std::string refusal(const std::string& name, const std::string& token,
                      clock::time_point now) const;

  std::filesystem::path file_;
  std::uint64_t read_ = 0;                      ///< Bytes of the file that have been applied.
  std::map<std::string, ticket> tickets_;       ///< By hash.
  std::map<std::string, std::string> admitted_; ///< Name to the token's hash.
};

} // namespace skippipe::runtime::security
