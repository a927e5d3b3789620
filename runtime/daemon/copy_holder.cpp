#include "runtime/daemon/copy_holder.hpp"

#include "model/hash.hpp"

#include <tuple>

namespace skippipe::runtime::daemon {

const copy_candidate* choose_holder(const std::vector<copy_candidate>& candidates,
                                    const std::string& job, const copy_wishes& wishes) {
  const auto rank = [&](const copy_candidate& one) {
    return std::tuple{one.host != wishes.scheduler_host, one.name == wishes.current,
                      model::name_hash(job + '\n' + one.name), one.name};
  };
  const copy_candidate* best = nullptr;
  for (const auto& one : candidates)
    if ((wishes.wanted.empty() || one.name == wishes.wanted)
        && (best == nullptr || rank(one) > rank(*best)))
      best = &one;
  return best;
}

} // namespace skippipe::runtime::daemon
