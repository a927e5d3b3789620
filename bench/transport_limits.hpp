// What the transports are measured against.
#pragma once

#include <cstddef>
#include <string>

namespace skippipe::bench {

/// ucx_perftest between two fresh processes over UCX's tcp. `mode` "-e": endpoints that report errors,
/// as ours do. Zero when it cannot run.
double perftest_mib_s(std::size_t size, std::size_t count, std::size_t window,
                      const std::string& mode);
double perftest_latency_us(std::size_t count);

/// MiB/s of a cipher on one core, in blocks of `size`.
double aes_mib_s(const std::string& cipher, std::size_t size);

/// MiB/s from one process to another through one TCP connection, by blocking calls and nothing else:
/// plain, or encrypted by AES-128-GCM here and decrypted there in records of 16 KiB. The most that
/// copying (and AES) on one core at each end can give.
double socket_mib_s(bool sealed, std::size_t size, std::size_t count);

} // namespace skippipe::bench
