#include "runtime/daemon/link_survey.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::runtime::daemon {

link_survey::link_survey(options given, std::vector<std::vector<node_pair>> rounds)
    : options_(std::move(given)), rounds_(std::move(rounds)), opening_(nodes()) {}

std::set<node_id> link_survey::nodes() const {
  std::set<node_id> result;
  for (const auto& round : rounds_)
    for (const auto& [a, b] : round)
      result.insert({a, b});
  return result;
}

void link_survey::start() {
  began_s_ = options_.now_s();
  options_.began(0);
  if (opening_.empty())
    end();
}

void link_survey::opened(const probe_opened& report) {
  if (ended_ || report.session != options_.session || opening_.erase(report.node) == 0)
    return;
  if (!report.error.empty())
    absent_.insert(report.node);
  if (opening_.empty())
    next_round();
}

void link_survey::next_round() {
  while (!ended_) {
    if (round_ == rounds_.size() || options_.now_s() - began_s_ > options_.seconds)
      return end();
    const auto& pairs = rounds_[round_++];
    for (const auto& [a, b] : pairs)
      if (!absent_.contains(a) && !absent_.contains(b))
        order(a, b);
    if (under_way_.empty())
      continue; // Nobody left of it.
    return options_.began(round_);
  }
}

void link_survey::order(node_id from, node_id to) {
  under_way_.insert({from, to});
  options_.order(from, {options_.session, to, options_.each.bytes,
                        static_cast<std::uint64_t>(1e3 * options_.each.seconds)});
}

void link_survey::take(const probe_result& report) {
  if (ended_ || report.session != options_.session
      || under_way_.erase({report.node, report.peer}) == 0)
    return; // Late, or not asked for.
  bytes_ += report.bytes;
  options_.found(report);
  if (report.node < report.peer && report.error.empty())
    order(report.peer, report.node);
  if (under_way_.empty())
    next_round();
}

void link_survey::lost(node_id node) {
  if (ended_)
    return;
  absent_.insert(node);
  const bool opening = !opening_.empty();
  opening_.erase(node);
  std::erase_if(under_way_,
                [node](const node_pair& x) { return x.first == node || x.second == node; });
  if (opening_.empty() && (opening || (round_ > 0 && under_way_.empty())))
    next_round();
}

void link_survey::give_up(std::size_t round) {
  if (ended_ || round != round_ || (round == 0 && opening_.empty()))
    return;
  absent_.merge(std::exchange(opening_, {}));
  for (const auto& [from, to] : std::exchange(under_way_, {}))
    absent_.insert(from);
  next_round();
}

void link_survey::end() {
  ended_ = true;
  took_s_ = options_.now_s() - began_s_;
  options_.done();
}

} // namespace skippipe::runtime::daemon
