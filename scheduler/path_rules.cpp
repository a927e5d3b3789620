#include "scheduler/path_rules.hpp"

#include <algorithm>
#include <cstddef>

namespace skippipe::scheduler {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

/// In order, a set of stages keeps R2 exactly when no gap exceeds max_jump.
bool gaps_fit(const std::vector<stage_id>& sorted, std::uint32_t max_jump) {
  stage_id last = 0;
  for (stage_id s : sorted) {
    if (s - last > max_jump)
      return false;
    last = s;
  }
  return true;
}

bool contains(const std::vector<stage_id>& sorted, stage_id s) {
  return std::binary_search(sorted.begin(), sorted.end(), s);
}

std::vector<stage_id> replaced(const std::vector<stage_id>& sorted, stage_id out, stage_id in) {
  std::vector<stage_id> result;
  result.reserve(sorted.size());
  for (stage_id s : sorted)
    if (s != out)
      result.push_back(s);
  result.insert(std::lower_bound(result.begin(), result.end(), in), in);
  return result;
}

/// Deals the visits, sorted by stage, round-robin: microbatch i gets visits i, i + count, ... With
/// equal counts per stage this makes the smallest gaps possible. `extra[s]`: stage s+1 is visited
/// once more than the others.
std::vector<std::vector<stage_id>> deal(const route_rules& rules, std::uint32_t count,
                                        const std::vector<bool>& extra) {
  const std::uint32_t others = rules.stages - 1;
  const std::uint64_t visits = std::uint64_t{count} * (rules.path_length - 1);
  std::vector<std::vector<stage_id>> sets(count);
  std::uint64_t at = 0;
  for (std::uint32_t s = 0; s < others; ++s)
    for (std::uint64_t i = 0; i < visits / others + (extra[s] ? 1 : 0); ++i)
      sets[at++ % count].push_back(s + 1);
  return sets;
}

bool all_fit(const std::vector<std::vector<stage_id>>& sets, const route_rules& rules) {
  return std::all_of(sets.begin(), sets.end(), [&](const std::vector<stage_id>& set) {
    return set.size() + 1 == rules.path_length && gaps_fit(set, rules.limits.max_jump);
  });
}

/// Balanced sets of stages, one per microbatch, every one feasible in order; empty when there are
/// none.
std::vector<std::vector<stage_id>> balanced_sets(const route_rules& rules, std::uint32_t count) {
  const std::uint32_t others = rules.stages - 1;
  const std::uint64_t visits = std::uint64_t{count} * (rules.path_length - 1);
  const std::uint32_t left = static_cast<std::uint32_t>(visits % others);
  // The odd visits may go to any stages; try a block of them at every place, then spread out.
  for (std::uint32_t shift = 0; shift <= others; ++shift) {
    std::vector<bool> extra(others, false);
    for (std::uint32_t i = 0; i < left; ++i)
      extra[shift < others ? (shift + i) % others : std::size_t{i} * others / left] = true;
    auto sets = deal(rules, count, extra);
    if (all_fit(sets, rules))
      return sets;
  }
  return {};
}

/// Moves that keep every set feasible and the visits balanced, many times over.
void mix_sets(std::vector<std::vector<stage_id>>& sets, const route_rules& rules,
              random_source& random) {
  const std::uint32_t count = static_cast<std::uint32_t>(sets.size());
  const std::uint32_t others = rules.stages - 1;
  std::vector<std::uint32_t> visits(rules.stages, 0);
  for (const auto& set : sets)
    for (stage_id s : set)
      ++visits[s];
  const std::uint64_t tries = std::uint64_t{count} * rules.path_length * 16;
  for (std::uint64_t i = 0; i < tries; ++i) {
    const stage_id a = 1 + random.below(others);
    const stage_id b = 1 + random.below(others);
    auto& first = sets[random.below(count)];
    auto& second = sets[random.below(count)];
    if (a == b || !contains(first, a) || contains(first, b))
      continue;
    auto new_first = replaced(first, a, b);
    if (!gaps_fit(new_first, rules.limits.max_jump))
      continue;
    if (visits[a] == visits[b] + 1) { // Handing the odd visit over keeps the balance, too.
      --visits[a];
      ++visits[b];
      first = std::move(new_first);
      continue;
    }
    if (&first == &second || !contains(second, b) || contains(second, a))
      continue;
    auto new_second = replaced(second, b, a);
    if (!gaps_fit(new_second, rules.limits.max_jump))
      continue;
    first = std::move(new_first);
    second = std::move(new_second);
  }
  random.shuffle(sets);
}

bool enumerate_from(const route_rules& rules, route& r, std::vector<bool>& used,
                    const route_state& state, const std::function<bool(const route&)>& seen) {
  if (r.size() + 1 == rules.path_length)
    return seen(r);
  for (stage_id s = 1; s < rules.stages; ++s) {
    route_state next = state;
    if (used[s] || !next.visit(s, rules.limits))
      continue;
    used[s] = true;
    r.push_back(s);
    const bool go_on = enumerate_from(rules, r, used, next, seen);
    r.pop_back();
    used[s] = false;
    if (!go_on)
      return false;
  }
  return true;
}

} // namespace

bool route_state::visit(stage_id next, const path_limits& limits) {
  if (next > frontier) {
    if (next - frontier > limits.max_jump)
      return false;
    frontier = next;
    return true;
  }
  const std::uint32_t distance = frontier - next;
  if (distance > limits.max_jump || distance > limits.max_swap_distance || swaps >= limits.max_swaps
      || distance > limits.max_total_swap_distance - total_distance)
    return false;
  ++swaps;
  total_distance += distance;
  return true;
}

bool keeps_limits(const route& r, const path_limits& limits) {
  route_state state;
  return std::all_of(r.begin(), r.end(), [&](stage_id s) { return state.visit(s, limits); });
}

std::optional<std::string> route_problem(const route& r, const route_rules& rules) {
  if (r.size() + 1 != rules.path_length)
    return "visits " + number(r.size() + 1) + " stages, path_length is "
           + number(rules.path_length);
  const path_limits& limits = rules.limits;
  std::vector<bool> used(rules.stages, false);
  std::uint64_t frontier = 0, swaps = 0, total = 0;
  for (stage_id s : r) {
    if (s == 0 || s >= rules.stages)
      return "visits stage " + number(s) + ", allowed are 1.." + number(rules.stages - 1);
    if (used[s])
      return "visits stage " + number(s) + " twice";
    used[s] = true;
    const std::uint64_t jump = s > frontier ? s - frontier : frontier - s;
    if (jump > limits.max_jump)
      return "jumps " + number(jump) + " stages from frontier " + number(frontier) + " to stage "
             + number(s) + ", max_jump is " + number(limits.max_jump);
    if (s > frontier) {
      frontier = s;
      continue;
    }
    total += jump;
    if (++swaps > limits.max_swaps)
      return "has " + number(swaps) + " swaps, max_swaps is " + number(limits.max_swaps);
    if (jump > limits.max_swap_distance)
      return "has a swap of distance " + number(jump) + ", max_swap_distance is "
             + number(limits.max_swap_distance);
    if (total > limits.max_total_swap_distance)
      return "has swap distances of " + number(total) + " in sum, max_total_swap_distance is "
             + number(limits.max_total_swap_distance);
  }
  return std::nullopt;
}

void enumerate_routes(const route_rules& rules, const std::function<bool(const route&)>& seen) {
  if (rules.path_length == 0 || rules.path_length > rules.stages)
    return;
  route r;
  std::vector<bool> used(rules.stages, false);
  enumerate_from(rules, r, used, {}, seen);
}

std::uint64_t count_routes(const route_rules& rules, std::uint64_t limit) {
  std::uint64_t count = 0;
  if (limit > 0)
    enumerate_routes(rules, [&](const route&) { return ++count < limit; });
  return count;
}

route full_route(std::uint32_t stages) {
  route r;
  for (stage_id s = 1; s < stages; ++s)
    r.push_back(s);
  return r;
}

route random_order(const std::vector<stage_id>& sorted, const path_limits& limits,
                   random_source& random) {
  route result;
  std::vector<stage_id> left = sorted, choices;
  route_state state;
  // A prefix can be completed exactly when the stages it left behind can all be visited at once
  // (later only makes them farther) and the rest then follow in order.
  const auto completes = [&](route_state s, stage_id taken) {
    for (stage_id x : left)
      if (x != taken && !s.visit(x, limits))
        return false;
    return true;
  };
  while (!left.empty()) {
    choices.clear();
    for (stage_id s : left) {
      route_state next = state;
      if (next.visit(s, limits) && completes(next, s))
        choices.push_back(s);
    }
    const stage_id s = choices[random.below(static_cast<std::uint32_t>(choices.size()))];
    state.visit(s, limits);
    result.push_back(s);
    left.erase(std::find(left.begin(), left.end(), s));
  }
  return result;
}

std::optional<std::vector<route>> balanced_routes(const route_rules& rules, std::uint32_t count,
                                                  random_source& random) {
  if (rules.stages == 0 || rules.path_length == 0 || rules.path_length > rules.stages)
    return std::nullopt;
  if (rules.path_length == 1 || count == 0) {
    if (rules.stages > 1 && count > 0)
      return std::nullopt; // Stages nobody visits would never train.
    return std::vector<route>(count);
  }
  auto sets = balanced_sets(rules, count);
  if (sets.empty())
    return std::nullopt;
  mix_sets(sets, rules, random);
  std::vector<route> routes;
  routes.reserve(count);
  for (const auto& set : sets)
    routes.push_back(random_order(set, rules.limits, random));
  return routes;
}

std::optional<route_conflict> route_infeasibility(const route_rules& rules, std::uint32_t count) {
  if (rules.stages == 0)
    return route_conflict{"stages is 0", "stages = 1", [](instance& x) { x.stages = 1; }};
  const auto with_length = [](std::string reason, std::uint32_t length) {
    return route_conflict{std::move(reason), "path_length = " + number(length),
                          [length](instance& x) { x.path_length = length; }};
  };
  if (rules.path_length == 0 || rules.path_length > rules.stages)
    return with_length("path_length is " + number(rules.path_length) + ", allowed are 1.."
                           + number(rules.stages) + " with " + number(rules.stages) + " stages",
                       rules.path_length == 0 ? 1 : rules.stages);
  if (count == 0)
    return route_conflict{"there are no microbatches", "microbatches_per_origin = 1",
                          [](instance& x) { x.microbatches_per_origin = 1; }};
  if (rules.stages == 1)
    return std::nullopt;
  if (rules.path_length == 1)
    return with_length(
        "path_length is 1, so stages 1.." + number(rules.stages - 1) + " would never train", 2);
  if (!balanced_sets(rules, count).empty())
    return std::nullopt;
  route_rules changed = rules;
  while (changed.limits.max_jump < rules.stages && balanced_sets(changed, count).empty())
    ++changed.limits.max_jump;
  return route_conflict{
      "paths of " + number(rules.path_length) + " stages with max_jump "
          + number(rules.limits.max_jump) + " cannot visit stages 1.." + number(rules.stages - 1)
          + " equally often",
      "max_jump = " + number(changed.limits.max_jump),
      [jump = changed.limits.max_jump](instance& x) { x.limits.max_jump = jump; }};
}

std::vector<route> deterministic_routes(std::uint32_t stages, std::uint32_t path_length,
                                        const path_limits& limits, std::uint32_t microbatch_count,
                                        std::uint64_t seed) {
  if (path_length == stages && stages > 0 && limits.max_jump > 0)
    return std::vector<route>(microbatch_count, full_route(stages));
  random_source random(seed);
  return balanced_routes({stages, path_length, limits}, microbatch_count, random)
      .value_or(std::vector<route>{});
}

} // namespace skippipe::scheduler
