// Bounds what an endpoint sends, in bytes per second.
#pragma once

#include "transport/timer.hpp"
#include "transport/token_bucket.hpp"
#include "transport/transport.hpp"

namespace skippipe::transport {

/// Messages that must wait do so in the order of their `send` calls, whoever they go to, and count as
/// pending meanwhile; their deadlines run. `bucket` may be shared with others, its rate may change at any
/// time and counts within half a second of `time`. What is not held back costs a lock. `bounds` are the
/// wrapped endpoint's.
std::unique_ptr<endpoint> make_limited_endpoint(std::unique_ptr<endpoint> inner,
                                                std::shared_ptr<token_bucket> bucket,
                                                std::shared_ptr<timer> time,
                                                const limits& bounds = {});

} // namespace skippipe::transport
