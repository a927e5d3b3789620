#include "runtime/trace/advice.hpp"

#include <algorithm>
#include <cstdio>

namespace skippipe::runtime {

namespace {

constexpr double worth_saying = 0.1; // of the iteration's time

std::string number(double value, const char* format = "%.3g") {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string percent(double part) { return number(100 * part, "%.0f") + " %"; }

struct adviser {
  const run_trace& run;
  const iteration_view& view;
  const explanation& x;
  std::vector<std::string> out;

  // Links on the critical path: only those made the iteration longer.
  void links() {
    double total = 0;
    const critical_step* slowest = nullptr;
    auto seconds = [](const critical_step& s) {
      return static_cast<double>(s.end_ns - s.begin_ns) / 1e9;
    };
    for (const auto& s : x.path) {
      if (s.what != critical_step::type::link)
        continue;
      total += seconds(s);
      if (slowest == nullptr || seconds(s) > seconds(*slowest))
        slowest = &s;
    }
    if (slowest != nullptr && total >= worth_saying * x.makespan_s)
      out.push_back("links are " + percent(total / x.makespan_s)
                    + " of the critical path; the slowest is " + run.name(slowest->from) + " -> "
                    + run.name(slowest->node) + " with " + number(seconds(*slowest)) + " s for "
                    + std::to_string(slowest->bytes) + " bytes");
  }

  void bottleneck() {
    const auto busiest = std::max_element(x.nodes.begin(), x.nodes.end(),
                                          [](const node_time& a, const node_time& b) {
                                            return a.of(share::compute) < b.of(share::compute);
                                          });
    const double part = busiest->of(share::compute) / x.makespan_s;
    if (part >= 0.8)
      out.push_back(run.name(busiest->node) + " computes " + percent(part)
                    + " of the time: give stage "
                    + (busiest->stage == trace::no_stage ? "?" : std::to_string(busiest->stage))
                    + " another node or fewer layers");
  }

  // The node that loses most to one kind of waiting.
  void waiting(share s, const char* what, const char* remedy) {
    const auto worst =
        std::max_element(x.nodes.begin(), x.nodes.end(),
                         [&](const node_time& a, const node_time& b) { return a.of(s) < b.of(s); });
    const double part = worst->of(s) / x.makespan_s;
    if (part >= worth_saying)
      out.push_back(run.name(worst->node) + " spends " + percent(part) + " of the time " + what
                    + ": " + remedy);
  }

  // Tasks that take longer than the plan believed make the plan a bad one.
  void against_plan() {
    struct sums {
      double planned = 0;
      double actual = 0;
    };
    std::map<node_id, sums> nodes;
    for (const auto& t : view.tasks) {
      const auto planned = view.planned(t);
      if (!planned || !t.started || !t.computed)
        continue;
      nodes[t.node].planned += planned->end_s - planned->start_s;
      nodes[t.node].actual += static_cast<double>(*t.computed - *t.started) / 1e9;
    }
    const auto worst =
        std::max_element(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
          return a.second.actual - a.second.planned < b.second.actual - b.second.planned;
        });
    if (worst == nodes.end())
      return;
    const auto& [planned, actual] = worst->second;
    if (actual - planned >= worth_saying * x.makespan_s && planned > 0)
      out.push_back(run.name(worst->first) + " computed for " + number(actual)
                    + " s where the plan counts on " + number(planned)
                    + " s: plan again with measured costs");
  }
};

} // namespace

std::vector<std::string> give_advice(const run_trace& run, const iteration_view& view,
                                     const explanation& x) {
  if (x.nodes.empty() || x.makespan_s <= 0)
    return {};
  adviser a{run, view, x, {}};
  a.against_plan();
  a.bottleneck();
  a.links();
  a.waiting(share::memory_full, "waiting for memory",
            "raise memory_microbatches there or upstream");
  a.waiting(share::reduction, "in the reduction of gradients",
            "balance when its replicas finish, or speed up the links between them");
  a.waiting(share::commit, "waiting for the commit",
            "it waits for the slowest stage's reduction or for the scheduler's link");
  a.waiting(share::recovery, "on attempts that were given up", "see 'dropped' in the stories");
  return std::move(a.out);
}

} // namespace skippipe::runtime
