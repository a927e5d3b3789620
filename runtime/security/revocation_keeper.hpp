// The revocation list that a daemon goes by, and where newer ones come from.
//
// The daemon's TLS reads a file of its own. It begins as the list that the configuration names, and is
// replaced by whatever newer list that file, or a peer, brings; never by an older one or by one that the
// authority has not signed. So nobody gets rid of a revocation by putting an old file back.
#pragma once

#include "runtime/security/revocations.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>

namespace skippipe::runtime::security {

/// Any thread.
class revocation_keeper {
public:
  /// `given`: the configured list, which may be "" or not there. `own` is made as soon as there is a list.
  revocation_keeper(std::filesystem::path ca, std::filesystem::path given,
                    std::filesystem::path own);

  /// The file for TLS to read, which may not be there yet.
  const std::filesystem::path& file() const { return own_; }

  /// Takes the given file over when it has changed and is newer; true when it was. Throws key_error for
  /// one that is older or not signed, once for each change of it.
  bool look();

  /// Takes over what a peer has sent when it is newer; true when it was. Throws key_error for a bad one.
  bool take(const std::string& pem);

  /// "" while there is none.
  std::string pem() const;
  std::uint64_t number() const;

private:
  std::uint64_t number_now() const;

  const std::filesystem::path ca_, given_, own_;
  std::array<std::int64_t, 4> seen_{}; ///< What tells the given file from its successors.
  mutable std::mutex mutex_;
};

} // namespace skippipe::runtime::security
