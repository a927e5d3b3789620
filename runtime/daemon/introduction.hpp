// What a node says of itself when it joins.
#pragma once

#include "runtime/config/node_config.hpp"
#include "runtime/daemon/messages.hpp"

namespace skippipe::runtime::daemon {

/// All that the configuration and the machine tell; addresses, incarnation and actors are yet to come.
join_request introduction_of(const node_config& node);

} // namespace skippipe::runtime::daemon
