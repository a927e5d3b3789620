#include "runtime/gate/refusal_log.hpp"

#include <utility>

namespace skippipe::runtime::gate {

void refusal_log::refuse(const std::string& source, std::string_view reason,
                         clock::time_point now) {
  const auto it = kinds_.find({source, std::string(reason)});
  if (it != kinds_.end()) {
    ++it->second.unsaid;
    return;
  }
  if (kinds_.size() >= most_kinds) {
    ++others_;
    return;
  }
  kinds_[{source, std::string(reason)}] = {now, 0};
  if (log_)
    log_("refused " + source + ": " + std::string(reason));
}

void refusal_log::sum_up(clock::time_point now) {
  for (auto it = kinds_.begin(); it != kinds_.end();) {
    auto& [kind, repeated] = *it;
    if (now - repeated.since < interval_) {
      ++it;
      continue;
    }
    if (repeated.unsaid == 0) { // quiet for a whole interval: it may be news again
      it = kinds_.erase(it);
      continue;
    }
    if (log_)
      log_("refused " + kind.first + " " + std::to_string(repeated.unsaid)
           + " more times: " + kind.second);
    repeated = {now, 0};
    ++it;
  }
  if (others_ > 0 && log_)
    log_("refused " + std::to_string(std::exchange(others_, 0))
         + " connections of further sources");
}

} // namespace skippipe::runtime::gate
