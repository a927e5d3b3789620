// What daemons tell each other about keys.
#pragma once

#include "runtime/daemon/wire.hpp"

#include <caf/all.hpp>

#include <string>

namespace skippipe::runtime::daemon {

/// The certificates that no longer hold, signed by the authority; so anyone may bring it. Whoever gets one
/// that is newer than his takes it over, and the scheduler hands it to all members.
struct revocation_list {
  std::string pem;
};
template <class F>
typename F::result_type inspect(F& f, revocation_list& x) {
  return f(caf::meta::type_name("skippipe.revocation_list"), x.pem);
}

} // namespace skippipe::runtime::daemon
