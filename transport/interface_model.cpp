#include "transport/interface_model.hpp"

#include <algorithm>

namespace skippipe::transport {

void interface_model::start(std::uint64_t flow, double bytes, double link_Bps, double now) {
  advance(now);
  flows_[flow] = {bytes, link_Bps};
  share();
}

void interface_model::stop(std::uint64_t flow, double now) {
  advance(now);
  flows_.erase(flow);
  share();
}

std::vector<std::uint64_t> interface_model::finish(double now) {
  std::vector<std::uint64_t> ended;
  for (double end = next_end(); end <= now; end = next_end()) {
    // Whoever ends first is found before time moves: rounding must not keep it alive.
    const auto first = std::min_element(flows_.begin(), flows_.end(), [](auto& a, auto& b) {
      return a.second.left / a.second.rate < b.second.left / b.second.rate;
    });
    const std::uint64_t name = first->first;
    advance(std::max(end, time_));
    flows_.erase(name);
    share();
    ended.push_back(name);
  }
  advance(now);
  return ended;
}

double interface_model::next_end() const {
  double end = unlimited;
  for (const auto& [name, f] : flows_)
    end = std::min(end, time_ + f.left / f.rate);
  return end;
}

void interface_model::advance(double now) {
  const double seconds = std::max(0.0, now - time_);
  for (auto& [name, f] : flows_)
    f.left = f.rate == unlimited ? 0 : std::max(0.0, f.left - f.rate * seconds);
  time_ = std::max(time_, now);
}

void interface_model::share() {
  std::vector<state*> by_link;
  for (auto& [name, f] : flows_)
    by_link.push_back(&f);
  std::sort(by_link.begin(), by_link.end(),
            [](const state* a, const state* b) { return a->link < b->link; });
  double capacity = capacity_;
  auto sharing = static_cast<double>(by_link.size());
  for (state* f : by_link) { // the slowest links first: they leave something to the rest
    f->rate = std::min(f->link, capacity / sharing);
    if (capacity != unlimited)
      capacity -= f->rate;
    sharing -= 1;
  }
}

} // namespace skippipe::transport
