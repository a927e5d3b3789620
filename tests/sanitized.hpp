// Fewer random cases where a sanitizer makes each of them slow.
#pragma once

namespace skippipe {

/// One in so many cases is to run: all of them, or under a sanitizer one in `share`.
constexpr int one_case_in([[maybe_unused]] int share) {
#ifdef SKIPPIPE_SANITIZED
  return share;
#else
  return 1;
#endif
}

} // namespace skippipe
