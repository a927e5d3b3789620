#include "scheduler/link_estimate.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace skippipe::scheduler {

namespace {

double median(std::vector<double>& values) {
  if (values.empty())
    return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Of one figure, latency or bandwidth. `worse` picks what two ends give together.
template <class Worse>
void complete(const std::vector<node_spec>& nodes, const std::vector<std::size_t>& places,
              std::vector<link_figures>& links, double link_figures::*figure, Worse worse) {
  const auto n = nodes.size();
  std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> by_place;
  std::vector<std::vector<double>> by_node(n);
  std::vector<double> all;
  for (node_id a = 0; a < n; ++a)
    for (node_id b = 0; b < n; ++b)
      if (const double value = links[a * n + b].*figure; a != b && value > 0) {
        by_place[{places[a], places[b]}].push_back(value);
        by_node[a].push_back(value);
        by_node[b].push_back(value);
        all.push_back(value);
      }
  const double anywhere = median(all);
  std::vector<double> typical(n);
  for (node_id a = 0; a < n; ++a)
    typical[a] = by_node[a].empty() ? anywhere : median(by_node[a]);
  const auto measured = links;
  for (node_id a = 0; a < n; ++a)
    for (node_id b = 0; b < n; ++b) {
      double& value = links[a * n + b].*figure;
      if (a == b || value > 0)
        continue;
      const auto place = by_place.find({places[a], places[b]});
      if (measured[b * n + a].*figure > 0)
        value = measured[b * n + a].*figure;
      else if (!nodes[a].location.empty() && place != by_place.end())
        value = median(place->second);
      else
        value = worse(typical[a], typical[b]);
    }
}

} // namespace

void complete_links(const std::vector<node_spec>& nodes, std::vector<link_figures>& links) {
  const auto n = nodes.size();
  std::map<std::string, std::size_t> numbers;
  std::vector<std::size_t> places;
  for (const auto& node : nodes)
    places.push_back(numbers.try_emplace(node.location, numbers.size()).first->second);
  complete(nodes, places, links, &link_figures::latency_s,
           [](double a, double b) { return std::max(a, b); });
  complete(nodes, places, links, &link_figures::bandwidth_Bps,
           [](double a, double b) { return std::min(a, b); });
  double fastest = 0;
  for (const auto& link : links)
    fastest = std::max(fastest, link.bandwidth_Bps);
  for (node_id a = 0; a < n; ++a)
    links[a * n + a] = {0, fastest};
}

} // namespace skippipe::scheduler
