#include "runtime/gantt.hpp"

#include "scheduler/critical_path.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace skippipe::runtime {

namespace {

using namespace scheduler;

constexpr double label_width = 150, chart_width = 1250, axis_height = 26;

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

/// The end of what is too long for a label: names of one kind differ there.
std::string shortened(const std::string& name) {
  constexpr std::size_t most = 16;
  if (name.size() <= most)
    return name;
  std::size_t from = name.size() - most + 1;
  while (from < name.size() && (name[from] & 0xc0) == 0x80) // Not within a character.
    ++from;
  return "…" + name.substr(from);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* style() {
  return "<style>.F{fill:#4c8fd6}.L{fill:#e0a52e}.B{fill:#58a868}"
         ".t{stroke:#fff;stroke-width:.4}.c{stroke:#c8202f;stroke-width:1.6}"
         ".w{fill:none;stroke:#222;stroke-width:1.2;opacity:0;pointer-events:none}"
         "text{font:11px system-ui,sans-serif;fill:#222}.g{stroke:#ddd}.s{fill:#f4f4f6}"
         "svg.dim .t{opacity:.18}svg.dim .t.on{opacity:1}.w.on{opacity:.9}</style>";
}

const char* script() {
  return "<script>(function(){const s=document.currentScript.closest('svg')"
         "||document.querySelector('svg');const set=m=>{s.querySelectorAll('.on').forEach(e=>"
         "e.classList.remove('on'));s.classList.toggle('dim',m!==null);if(m!==null)"
         "s.querySelectorAll('[data-m=\"'+m+'\"]').forEach(e=>e.classList.add('on'));};"
         "s.addEventListener('mouseover',e=>set(e.target.dataset.m??null));"
         "s.addEventListener('mouseleave',()=>set(null));})();</script>";
}

/// Rows of nodes in the order of stages.
std::vector<node_id> row_order(const plan& p) {
  std::vector<node_id> rows;
  for (const auto& nodes : p.arrangement)
    rows.insert(rows.end(), nodes.begin(), nodes.end());
  return rows;
}

std::string draw(const instance& problem, const plan& p, const simulation& timed) {
  const auto rows = row_order(p);
  const double row_height = rows.size() > 30 ? 14 : 22;
  const double height = axis_height + row_height * double(rows.size()) + 6;
  const double scale = chart_width / std::max(timed.makespan_s, 1e-9);
  std::vector<double> top(problem.nodes.size(), 0);
  for (std::size_t r = 0; r < rows.size(); ++r)
    top[rows[r]] = axis_height + row_height * double(r);
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""
                    + fixed(label_width + chart_width + 20, 0) + "\" height=\"" + fixed(height, 0)
                    + "\" viewBox=\"0 0 " + fixed(label_width + chart_width + 20, 0) + " "
                    + fixed(height, 0) + "\" role=\"img\" aria-label=\"Plan of "
                    + escaped(problem.name) + "\">" + style() + "<clipPath id=\"l\"><rect width=\""
                    + fixed(label_width - 4, 0) + "\" height=\"" + fixed(height, 0)
                    + "\"/></clipPath>";
  for (stage_id s = 0; s < p.arrangement.size(); ++s) {
    const double y = top[p.arrangement[s].front()];
    if (s % 2 == 0)
      out += "<rect class=\"s\" x=\"0\" y=\"" + fixed(y, 1) + "\" width=\""
             + fixed(label_width + chart_width + 20, 0) + "\" height=\""
             + fixed(row_height * double(p.arrangement[s].size()), 1) + "\"/>";
    for (const node_id n : p.arrangement[s])
      out += "<text class=\"n\" clip-path=\"url(#l)\" x=\"4\" y=\""
             + fixed(top[n] + row_height * 0.72, 1) + "\">stage " + std::to_string(s) + " · "
             + escaped(shortened(problem.nodes[n].name)) + "<title>"
             + escaped(problem.nodes[n].name) + " in " + escaped(problem.nodes[n].location)
             + "</title></text>";
  }
  // Ticks of 1, 2 or 5 times a power of ten, a dozen at most.
  double tick = std::pow(10.0, std::floor(std::log10(std::max(timed.makespan_s, 1e-9) / 12)));
  for (const double factor : {2.0, 2.5, 2.0})
    if (timed.makespan_s / tick > 12)
      tick *= factor;
  const int digits = std::max(0, -static_cast<int>(std::floor(std::log10(tick) + 1e-9)));
  for (int i = 0; i * tick <= timed.makespan_s; ++i) {
    const double t = i * tick;
    const std::string x = fixed(label_width + t * scale, 1);
    out += "<line class=\"g\" x1=\"" + x + "\" x2=\"" + x + "\" y1=\"" + fixed(axis_height - 6, 0)
           + "\" y2=\"" + fixed(height, 0) + "\"/><text x=\"" + x
           + "\" y=\"14\" text-anchor=\"middle\">" + fixed(t, digits) + " s</text>";
  }
  const auto critical = critical_path(problem, p, timed);
  for (std::size_t i = 0; i < p.paths.size(); ++i) {
    const path& x = p.paths[i];
    const auto hops = static_cast<std::uint32_t>(x.hops.size());
    const std::string mb = std::to_string(x.microbatch);
    std::string way;
    for (std::uint32_t s = 0; s < step_count(x); ++s) {
      const node_id n = step_node(x, s);
      const task_kind kind = step_kind(hops, s);
      const char* letter = kind == task_kind::forward ? "F" : (kind == task_kind::loss ? "L" : "B");
      const double left = label_width + timed.start[i][s] * scale;
      const double width = (timed.end[i][s] - timed.start[i][s]) * scale;
      const double y = top[n] + 1;
      out += std::string("<rect class=\"t ") + letter + (critical.count({i, s}) ? " c" : "")
             + "\" data-m=\"" + mb + "\" x=\"" + fixed(left, 2) + "\" y=\"" + fixed(y, 1)
             + "\" width=\"" + fixed(width, 2) + "\" height=\"" + fixed(row_height - 2, 1)
             + "\"><title>microbatch " + mb + " " + letter + " on " + escaped(problem.nodes[n].name)
             + " (stage "
             + std::to_string(step_hop(hops, s) == 0 ? 0 : x.hops[step_hop(hops, s) - 1].stage)
             + "), " + fixed(timed.start[i][s], 3) + " to " + fixed(timed.end[i][s], 3)
             + " s</title></rect>";
      const double middle = y + row_height / 2 - 1;
      way += (s == 0 ? "M" : "L") + fixed(left, 1) + " " + fixed(middle, 1) + "L"
             + fixed(left + width, 1) + " " + fixed(middle, 1);
    }
    out += "<path class=\"w\" data-m=\"" + mb + "\" d=\"" + way + "\"/>";
  }
  return out;
}

} // namespace

std::string gantt_svg(const instance& problem, const plan& p) {
  const simulation timed = simulate(problem, p.paths, p.order);
  std::string code = script();
  // Inside an SVG file the script is XML and needs its own guard.
  code.insert(code.find('>') + 1, "//<![CDATA[\n");
  code.insert(code.rfind("</script>"), "\n//]]>");
  return draw(problem, p, timed) + code + "</svg>\n";
}

std::string gantt_page(const instance& problem, const plan& p, double bound) {
  const simulation timed = simulate(problem, p.paths, p.order);
  double busy = 0;
  for (const double b : timed.busy_s)
    busy += b;
  const double utilisation = busy / (timed.makespan_s * double(problem.nodes.size()));
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>"
         + escaped(problem.name) + " · " + escaped(p.strategy)
         + "</title><style>body{font:14px system-ui,sans-serif;margin:16px;color:#222}"
           "b.k{display:inline-block;width:14px;height:14px;margin:0 4px 0 14px;"
           "vertical-align:-2px}body>svg{width:100%;min-width:1420px;height:auto}</style></"
           "head><body><h1 style=\"font-size:18px\">"
         + escaped(problem.name) + " · strategy " + escaped(p.strategy) + "</h1><p>makespan "
         + fixed(p.makespan_s, 3) + " s, lower bound " + fixed(bound, 3) + " s, utilisation "
         + fixed(100 * utilisation, 1)
         + " %<b class=\"k\" style=\"background:#4c8fd6\"></b>forward"
           "<b class=\"k\" style=\"background:#e0a52e\"></b>loss"
           "<b class=\"k\" style=\"background:#58a868\"></b>backward"
           "<b class=\"k\" style=\"outline:2px solid #c8202f\"></b>critical path</p><p>Rows are "
           "nodes, by stage. Point at a task to see "
           "its microbatch's path.</p>"
         + draw(problem, p, timed) + "</svg>" + script() + "</body></html>\n";
}

} // namespace skippipe::runtime
