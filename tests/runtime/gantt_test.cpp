// The picture of a plan: what is in it, and, where a browser can be had, what the browser makes of it.
#include "runtime/gantt.hpp"

#include "bench/scheduler_instances.hpp"
#include "scheduler/critical_path.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"

#include "program.hpp"
#include "scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;
using namespace skippipe::scheduler;

namespace {

struct picture {
  instance problem = bench::generated_instance(bench::options_for_size(60, 1));
  plan made = [&] {
    planner_options options;
    options.kind = strategy::random;
    return std::get<plan>(make_plan(problem, options));
  }();
  std::size_t tasks() const {
    std::size_t count = 0;
    for (const auto& order : made.order)
      count += order.size();
    return count;
  }
};

std::size_t times(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

std::string browser() {
  if (const char* named = std::getenv("SKIPPIPE_BROWSER"))
    return named;
  for (const std::string name : {"chromium", "chromium-browser", "google-chrome"})
    if (shell("command -v " + name).code == 0)
      return name;
  return {};
}

// Points at microbatch 7 as a mouse would and writes what can be seen into the title.
constexpr const char* probe = R"(<script>
const s = document.querySelector('svg');
const tasks = [...s.querySelectorAll('.t')];
const of = e => e.getBoundingClientRect();
const seen = {
  tasks: tasks.length,
  visible: tasks.filter(e => of(e).width > 0.2 && of(e).height > 5).length,
  inside: tasks.filter(e => of(e).right <= of(s).right + 1 && of(e).bottom <= of(s).bottom + 1).length,
  colours: new Set(tasks.map(e => getComputedStyle(e).fill)).size,
  critical: tasks.filter(e => getComputedStyle(e).stroke === 'rgb(200, 32, 47)').length,
};
const labels = [...s.querySelectorAll('text.n')].map(of).sort((a, b) => a.top - b.top);
seen.labels = labels.length;
seen.apart = labels.every((r, i) => i === 0 || r.top - labels[i - 1].top >= 10);
seen.left = labels.every(r => r.right <= Math.min(...tasks.map(e => of(e).left)) + 1);
const say = (type, e) => e.dispatchEvent(new MouseEvent(type, {bubbles: true}));
say('mouseover', tasks.find(e => e.dataset.m === '7'));
const lit = [...s.querySelectorAll('.on')];
seen.lit = lit.filter(e => e.matches('.t')).length;
seen.ways = lit.filter(e => e.matches('.w') && getComputedStyle(e).opacity > 0.5).length;
seen.same = lit.every(e => e.dataset.m === '7');
seen.others = getComputedStyle(tasks.find(e => e.dataset.m === '8')).opacity;
say('mouseleave', s);
seen.after = s.querySelectorAll('.on').length;
document.title = JSON.stringify(seen);
</script>)";

} // namespace

TEST_CASE("the page of a plan holds every task and needs nothing else", "[plan][gantt]") {
  const picture p;
  const std::string page = gantt_page(p.problem, p.made, 12.5);
  CHECK(times(page, "<rect class=\"t ") == p.tasks());
  CHECK(times(page, "<path class=\"w\"") == p.made.paths.size());
  CHECK(times(page, "<text class=\"n\"") == 60);
  CHECK(times(page, "http") == 1); // The name space of SVG.
  CHECK(times(page, "src=") == 0);
  CHECK(times(page, "href=") == 0);
  CHECK(times(page, "lower bound 12.500 s") == 1);
  CHECK(page.size() < 2'000'000);
  for (const char letter : {'F', 'L', 'B'})
    CHECK(times(page, std::string("<rect class=\"t ") + letter) > 0);
}

TEST_CASE("the critical path leads without a gap from the start to the makespan", "[plan][gantt]") {
  const picture p;
  const auto timed = simulate(p.problem, p.made.paths, p.made.order);
  const auto critical = critical_path(p.problem, p.made, timed);
  REQUIRE(critical.size() > 5);
  std::vector<std::pair<double, double>> spans;
  for (const auto& [i, s] : critical)
    spans.emplace_back(timed.start[i][s], timed.end[i][s]);
  std::sort(spans.begin(), spans.end());
  CHECK(spans.front().first == 0);
  CHECK(spans.back().second == timed.makespan_s);
  double longest_link = 0;
  for (const double link : p.problem.link_s)
    longest_link = std::max(longest_link, link);
  for (std::size_t i = 1; i < spans.size(); ++i) {
    CHECK(spans[i].first >= spans[i - 1].second);
    CHECK(spans[i].first <= spans[i - 1].second + longest_link);
  }
}

TEST_CASE("a node's name cannot break out of the picture", "[plan][gantt]") {
  picture p;
  p.problem.name = "</title><script>";
  p.problem.nodes[0].name = "<script>\"&";
  const std::string page = gantt_page(p.problem, p.made, 12.5);
  CHECK(times(page, "<script>\"") == 0);
  CHECK(times(page, "&lt;script&gt;&quot;&amp;") > 0);
  CHECK(times(page, "</title><script>") == 0);
}

TEST_CASE("long names keep their ends, ticks are round", "[plan][gantt]") {
  picture p;
  p.problem.nodes[0].name = "worker-eu-west-a-17";
  for (task_costs& c : p.problem.node_stage_s)
    c = {0.1 * c.forward_s, 0.1 * c.loss_s, 0.1 * c.backward_s};
  for (node_spec& n : p.problem.nodes)
    n.compute_s *= 0.1;
  const std::string page = gantt_page(p.problem, p.made, 1);
  CHECK(times(page, "…er-eu-west-a-17<title>worker-eu-west-a-17 in") == 1);
  CHECK(times(page, "000000") == 0);
}

TEST_CASE("the SVG is XML", "[plan][gantt]") {
  const picture p;
  const scratch_folder folder;
  std::ofstream(folder / "plan.svg") << gantt_svg(p.problem, p.made);
  const auto read = shell("python3 -c \"import sys, xml.dom.minidom as m; "
                          "print(len(m.parse(sys.argv[1]).getElementsByTagName('rect')))\" '"
                          + (folder / "plan.svg").string() + "'");
  CHECK(read.code == 0);
  CHECK(std::stoul(read.text) >= p.tasks());
}

TEST_CASE("a browser draws the page and lights up what is pointed at", "[plan][gantt]") {
  const std::string program = browser();
  if (program.empty()) {
    WARN("skipped: neither chromium nor google-chrome is installed (or name one in "
         "SKIPPIPE_BROWSER)");
    return;
  }
  const picture p;
  const scratch_folder folder;
  std::string page = gantt_page(p.problem, p.made, 12.5);
  page.insert(page.rfind("</body>"), probe);
  std::ofstream(folder / "plan.html") << page;
  const auto seen_text =
      shell("timeout 100 " + program
            + " --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir='"
            + (folder / "profile").string() + "' --dump-dom 'file://"
            + (folder / "plan.html").string() + "' 2>/dev/null");
  REQUIRE(seen_text.code == 0);
  const auto from = seen_text.text.find("<title>") + 7;
  const auto title = seen_text.text.substr(from, seen_text.text.find("</title>") - from);
  INFO(title);
  const auto seen = nlohmann::json::parse(title);
  CHECK(seen["tasks"] == p.tasks());
  CHECK(seen["visible"] == p.tasks());
  CHECK(seen["inside"] == p.tasks());
  CHECK(seen["colours"] == 3);
  const auto timed = simulate(p.problem, p.made.paths, p.made.order);
  CHECK(seen["critical"] == critical_path(p.problem, p.made, timed).size());
  CHECK(seen["labels"] == 60);
  CHECK(seen["apart"] == true);
  CHECK(seen["left"] == true);
  CHECK(seen["lit"] == step_count(p.made.paths[7]));
  CHECK(seen["ways"] == 1);
  CHECK(seen["same"] == true);
  CHECK(std::stod(seen["others"].get<std::string>()) < 0.3);
  CHECK(seen["after"] == 0);
}
