#include "scheduler/schedule_json.hpp"

#include <algorithm>
#include <charconv>

namespace skippipe::scheduler {

namespace {

constexpr std::uint32_t most_id = 100000000;
using value = json_document::value;

void read_path(json_reader& r, const value& v, const std::vector<stage_id>& stage_of, plan& p) {
  if (!r.object(v, "path", {"microbatch", "origin", "nodes"}))
    return;
  const auto last = static_cast<std::uint32_t>(stage_of.size() - 1);
  path x;
  if (const value* f = r.need(v, "microbatch"))
    x.microbatch = r.integer(*f, "microbatch", 0, most_id);
  if (const value* f = r.need(v, "origin"))
    x.origin = r.integer(*f, "origin", 0, last);
  if (const value* f = r.need(v, "nodes"))
    for (node_id n : r.integers(*f, "nodes", 0, last))
      x.hops.push_back({stage_of[n], n});
  p.paths.push_back(std::move(x));
}

void read_tasks(json_reader& r, const value& v, std::vector<planned_task>& tasks) {
  if (!r.array(v, "order"))
    return;
  for (std::uint32_t i = 0; i < v.count; ++i) {
    const value& item = r.document().child(v, i);
    if (!r.array(item, "order", 2))
      continue;
    planned_task t;
    t.microbatch = r.integer(r.document().child(item, 0), "order", 0, most_id);
    const value& letter = r.document().child(item, 1);
    const std::string kind = r.string(letter, "order");
    if (kind == "F")
      t.kind = task_kind::forward;
    else if (kind == "L")
      t.kind = task_kind::loss;
    else if (kind == "B")
      t.kind = task_kind::backward;
    else
      r.problem(letter, "order: expected \"F\", \"L\" or \"B\"");
    tasks.push_back(t);
  }
}

void read_order(json_reader& r, const value& v, plan& p) {
  if (v.type != json_document::kind::object)
    return r.problem(v, "order: expected an object");
  for (std::uint32_t i = 0; i < v.count; i += 2) {
    const value& key = r.document().child(v, i);
    const std::string& text = r.document().text(key);
    std::uint32_t node = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), node);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || node >= p.order.size()
        || text != std::to_string(node)) {
      r.problem(key, "order: " + json_quote(text) + " is no node id");
      continue;
    }
    read_tasks(r, r.document().child(v, i + 1), p.order[node]);
  }
}

void read_root(json_reader& r, const value& root, const instance& problem, plan& p) {
  if (r.is_other_format(root, "schedule")
      || !r.object(root, "schedule",
                   {"format", "instance", "strategy", "arrangement", "paths", "order", "makespan_s",
                    "version", "node_names"}))
    return;
  if (const value* v = r.need(root, "format"); v && r.string(*v, "format") != "skippipe-schedule/1")
    r.problem(*v, "format: expected \"skippipe-schedule/1\"");
  if (const value* v = r.find(root, "instance");
      v && r.string(*v, "instance") != problem.name && !problem.name.empty())
    r.problem(*v, "instance: the schedule is of another instance than " + json_quote(problem.name));
  if (const value* v = r.find(root, "strategy"))
    p.strategy = r.string(*v, "strategy");
  if (const value* v = r.find(root, "version"))
    p.version = r.integer(*v, "version", 0, ~std::uint32_t{0});
  if (const value* v = r.find(root, "makespan_s"))
    p.makespan_s = r.number(*v, "makespan_s", 0, 1e15);
  const auto nodes = static_cast<std::uint32_t>(problem.nodes.size());
  p.arrangement = problem.arrangement;
  if (const value* v = r.find(root, "arrangement");
      v && r.array(*v, "arrangement", problem.stages)) {
    p.arrangement.clear();
    for (std::uint32_t s = 0; s < v->count; ++s)
      p.arrangement.push_back(r.integers(r.document().child(*v, s), "arrangement", 0, nodes - 1));
  }
  if (p.arrangement.empty())
    r.problem(root, "missing key \"arrangement\": the instance fixes none");
  std::vector<stage_id> stage_of(nodes, problem.stages);
  for (stage_id s = 0; s < p.arrangement.size(); ++s)
    for (node_id n : p.arrangement[s])
      stage_of[n] = s;
  if (const value* v = r.need(root, "paths"); v && r.array(*v, "paths"))
    for (std::uint32_t i = 0; i < v->count; ++i)
      read_path(r, r.document().child(*v, i), stage_of, p);
  p.order.resize(nodes);
  if (const value* v = r.need(root, "order"))
    read_order(r, *v, p);
}

/// What in a schedule does not fit together: each node serves one stage, a path begins at stage 0 and goes
/// on to other stages, each microbatch has one path.
std::string misfit(const plan& p, std::size_t nodes) {
  std::vector<stage_id> stage_of(nodes, ~stage_id{0});
  for (stage_id s = 0; s < p.arrangement.size(); ++s)
    for (const node_id n : p.arrangement[s]) {
      if (stage_of[n] != ~stage_id{0})
        return "node " + std::to_string(n) + " is in the arrangement twice";
      stage_of[n] = s;
    }
  for (std::size_t i = 0; i < p.paths.size(); ++i) {
    const path& x = p.paths[i];
    const std::string name = "microbatch " + std::to_string(x.microbatch);
    if (i > 0 && p.paths[i - 1].microbatch == x.microbatch)
      return name + " has two paths";
    if (stage_of[x.origin] != 0)
      return name + " starts at node " + std::to_string(x.origin) + ", which is not in stage 0";
    std::vector<stage_id> seen{0};
    for (const hop& h : x.hops)
      seen.push_back(h.stage);
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
      return name + " visits a stage twice";
  }
  return {};
}

} // namespace

read_result<plan> parse_schedule(std::string_view text, const std::string& file,
                                 const instance& problem) {
  std::string syntax;
  const auto document = json_document::parse(text, syntax);
  if (!document)
    return {std::nullopt, {file + ":" + syntax}};
  json_reader reader(*document, file);
  plan p;
  read_root(reader, document->root(), problem, p);
  if (!reader.problems().empty())
    return {std::nullopt, reader.problems()};
  std::stable_sort(p.paths.begin(), p.paths.end(),
                   [](const path& a, const path& b) { return a.microbatch < b.microbatch; });
  return {std::move(p), {}};
}

read_result<plan> load_schedule(const std::string& file, const instance& problem) {
  std::string failure;
  const auto text = read_file(file, failure);
  if (!text)
    return {std::nullopt, {failure}};
  return parse_schedule(*text, file, problem);
}

read_result<plan> load_running(const std::string& file, std::vector<std::string>& names) {
  std::string problem;
  const auto text = read_file(file, problem);
  if (!text)
    return {std::nullopt, {problem}};
  return parse_running(*text, file, names);
}

read_result<plan> parse_running(std::string_view text, const std::string& file,
                                std::vector<std::string>& names) {
  std::string problem;
  const auto document = json_document::parse(text, problem);
  if (!document)
    return {std::nullopt, {file + ":" + problem}};
  json_reader reader(*document, file);
  const value& root = document->root();
  if (reader.is_other_format(root, "schedule"))
    return {std::nullopt, reader.problems()};
  instance shape;
  const value* arrangement =
      root.type == json_document::kind::object ? reader.need(root, "arrangement") : nullptr;
  if (arrangement && reader.array(*arrangement, "arrangement")) {
    shape.stages = arrangement->count;
    std::size_t nodes = 0;
    for (std::uint32_t s = 0; s < arrangement->count; ++s)
      nodes += document->child(*arrangement, s).count;
    shape.nodes.resize(nodes);
  }
  if (shape.nodes.empty()) {
    reader.problem(root, "schedule: its arrangement names no node");
    return {std::nullopt, reader.problems()};
  }
  if (const value* v = reader.find(root, "node_names");
      v && reader.array(*v, "node_names", shape.nodes.size()))
    for (std::uint32_t i = 0; i < v->count; ++i)
      names.push_back(reader.string(document->child(*v, i), "node_names"));
  if (!reader.problems().empty())
    return {std::nullopt, reader.problems()};
  auto read = parse_schedule(text, file, shape);
  if (read.value)
    if (const std::string wrong = misfit(*read.value, shape.nodes.size()); !wrong.empty())
      return {std::nullopt, {file + ":1:1: schedule: " + wrong}};
  return read;
}

std::string write_schedule(const instance& problem, const plan& p) {
  std::string out = "{\"format\":\"skippipe-schedule/1\",\"instance\":" + json_quote(problem.name)
                    + ",\"strategy\":" + json_quote(p.strategy) + ",\n\"arrangement\":[";
  for (std::size_t s = 0; s < p.arrangement.size(); ++s) {
    out += s ? ",[" : "[";
    for (std::size_t i = 0; i < p.arrangement[s].size(); ++i)
      out += (i ? "," : "") + std::to_string(p.arrangement[s][i]);
    out += ']';
  }
  out += "],\n\"node_names\":[";
  for (std::size_t n = 0; n < problem.nodes.size(); ++n)
    out += (n ? "," : "") + json_quote(problem.nodes[n].name);
  out += "],\n\"paths\":[";
  for (std::size_t i = 0; i < p.paths.size(); ++i) {
    out += (i ? ",\n" : "\n") + std::string("{\"microbatch\":")
           + std::to_string(p.paths[i].microbatch)
           + ",\"origin\":" + std::to_string(p.paths[i].origin) + ",\"nodes\":[";
    for (std::size_t h = 0; h < p.paths[i].hops.size(); ++h)
      out += (h ? "," : "") + std::to_string(p.paths[i].hops[h].node);
    out += "]}";
  }
  out += "],\n\"order\":{";
  for (std::size_t n = 0; n < p.order.size(); ++n) {
    out += (n ? ",\n\"" : "\n\"") + std::to_string(n) + "\":[";
    for (std::size_t i = 0; i < p.order[n].size(); ++i) {
      const planned_task& t = p.order[n][i];
      out += (i ? ",[" : "[") + std::to_string(t.microbatch)
             + (t.kind == task_kind::forward ? ",\"F\"]"
                                             : (t.kind == task_kind::loss ? ",\"L\"]" : ",\"B\"]"));
    }
    out += ']';
  }
  return out + "},\n\"makespan_s\":" + json_number(p.makespan_s) + "}\n";
}

} // namespace skippipe::scheduler
