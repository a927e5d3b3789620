// Who probes whom, and when.
#pragma once

#include "scheduler/ids.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace skippipe::runtime::daemon {

using node_pair = std::pair<node_id, node_id>; ///< The smaller number first.

/// A round-robin tournament by the circle method: within a round a node is in one pair at most, so pairs do
/// not disturb each other; the rounds together hold each pair for which `wanted` says so once. At most
/// `most` rounds; of more, those that are kept give every node about as many partners.
std::vector<std::vector<node_pair>> probe_rounds(std::size_t nodes, std::size_t most,
                                                 const std::function<bool(node_pair)>& wanted);

} // namespace skippipe::runtime::daemon
