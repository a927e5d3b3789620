// Commands that need LibTorch live in skippipe-engine beside this program.
#pragma once

namespace skippipe::runtime {

/// Whether `command` is one of the engine's.
bool needs_engine(int argc, char** argv);

/// Replaces this process by the engine with the same words. BLAS and OpenMP read their thread
/// counts when they load, so these are set here, before: each compute worker is one thread.
/// Returns only on failure, with the exit code, having said why.
int exec_engine(char** argv);

} // namespace skippipe::runtime
