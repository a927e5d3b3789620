#include "scheduler/instance_json.hpp"

#include "scheduler/check.hpp"

namespace skippipe::scheduler {

namespace {

constexpr std::uint32_t most_nodes = 20000, most_stages = 10000, most_count = 1000000;
constexpr double most_seconds = 1e9;
using value = json_document::value;

void read_nodes(json_reader& r, const value& v, instance& x) {
  if (!r.array(v, "nodes"))
    return;
  if (v.count == 0 || v.count > most_nodes)
    return r.problem(v, "nodes: expected 1.." + std::to_string(most_nodes) + " nodes, got "
                            + std::to_string(v.count));
  for (std::uint32_t i = 0; i < v.count; ++i) {
    const value& item = r.document().child(v, i);
    const std::string at = "nodes[" + std::to_string(i) + "]";
    node_spec node;
    if (r.object(item, at, {"id", "name", "location", "compute_s", "memory"})) {
      if (const value* f = r.need(item, "id"); f && r.integer(*f, at + ".id", 0, most_nodes) != i)
        r.problem(*f, at + ".id: expected " + std::to_string(i));
      if (const value* f = r.find(item, "name"))
        node.name = r.string(*f, at + ".name");
      if (const value* f = r.find(item, "location"))
        node.location = r.string(*f, at + ".location");
      if (const value* f = r.need(item, "compute_s"))
        node.compute_s = r.number(*f, at + ".compute_s", 1e-12, most_seconds);
      if (const value* f = r.need(item, "memory"))
        node.memory = r.integer(*f, at + ".memory", 0, most_count);
    }
    x.nodes.push_back(std::move(node));
  }
}

void read_limits(json_reader& r, const value& v, path_limits& limits) {
  if (!r.object(v, "limits",
                {"max_swaps", "max_swap_distance", "max_total_swap_distance", "max_jump"}))
    return;
  const auto read = [&](const std::string& key, std::uint32_t& field) {
    if (const value* f = r.find(v, key))
      field = r.integer(*f, "limits." + key, 0, most_count);
  };
  read("max_swaps", limits.max_swaps);
  read("max_swap_distance", limits.max_swap_distance);
  read("max_total_swap_distance", limits.max_total_swap_distance);
  read("max_jump", limits.max_jump);
}

void read_node_stage(json_reader& r, const value& v, instance& x) {
  if (!r.array(v, "node_stage_s", x.nodes.size()))
    return;
  for (std::uint32_t n = 0; n < v.count; ++n) {
    const value& row = r.document().child(v, n);
    const std::string at = "node_stage_s[" + std::to_string(n) + "]";
    if (!r.array(row, at, x.stages))
      continue;
    for (std::uint32_t s = 0; s < row.count; ++s) {
      const value& item = r.document().child(row, s);
      task_costs c;
      if (r.object(item, at, {"F", "B", "L"})) {
        if (const value* f = r.need(item, "F"))
          c.forward_s = r.number(*f, at + ".F", 1e-12, most_seconds);
        if (const value* f = r.need(item, "B"))
          c.backward_s = r.number(*f, at + ".B", 1e-12, most_seconds);
        if (const value* f = r.need(item, "L"))
          c.loss_s = r.number(*f, at + ".L", 0, most_seconds);
      }
      x.node_stage_s.push_back(c);
    }
  }
}

/// Links in seconds, or made of latency, bandwidth and the payload's size.
void read_links(json_reader& r, const value& root, instance& x) {
  const std::size_t n = x.nodes.size();
  if (const value* v = r.find(root, "latency_s"))
    x.latency_s = r.matrix(*v, "latency_s", n, n);
  if (const value* v = r.find(root, "bandwidth_Bps"))
    x.bandwidth_Bps = r.matrix(*v, "bandwidth_Bps", n, n);
  const value* payload = r.find(root, "payload_bytes");
  if (const value* v = r.find(root, "link_s")) {
    x.link_s = r.matrix(*v, "link_s", n, n);
    if (payload)
      r.problem(*payload, "payload_bytes: only used without link_s");
    return;
  }
  if (!payload || x.latency_s.empty() || x.bandwidth_Bps.empty())
    return r.problem(root, "missing key \"link_s\" (or \"latency_s\", \"bandwidth_Bps\" and "
                           "\"payload_bytes\")");
  const double bytes = r.number(*payload, "payload_bytes", 0, 1e15);
  for (std::size_t i = 0; i < x.latency_s.size() && i < x.bandwidth_Bps.size(); ++i) {
    const bool self = i % (n + 1) == 0;
    if (!self && x.bandwidth_Bps[i] <= 0) {
      r.problem(root, "bandwidth_Bps: from node " + std::to_string(i / n) + " to "
                          + std::to_string(i % n) + " is 0");
      return;
    }
    x.link_s.push_back(self ? 0 : x.latency_s[i] + bytes / x.bandwidth_Bps[i]);
  }
}

void read_optional(json_reader& r, const value& root, instance& x) {
  if (const value* v = r.find(root, "arrangement"); v && r.array(*v, "arrangement", x.stages))
    for (std::uint32_t s = 0; s < v->count; ++s)
      x.arrangement.push_back(
          r.integers(r.document().child(*v, s), "arrangement", 0,
                     static_cast<std::uint32_t>(x.nodes.empty() ? 0 : x.nodes.size() - 1)));
  if (const value* v = r.find(root, "microbatches"))
    x.microbatches = r.integer(*v, "microbatches", 1, most_count);
  if (const value* v = r.find(root, "stage_cost"))
    x.stage_cost = r.numbers(*v, "stage_cost", x.stages);
  if (const value* v = r.find(root, "sync_bytes"))
    x.sync_bytes = r.numbers(*v, "sync_bytes", x.stages);
  if (const value* v = r.find(root, "commit_s"))
    x.commit_s = r.number(*v, "commit_s", 0, most_seconds);
  if (const value* v = r.find(root, "node_stage_s"))
    read_node_stage(r, *v, x);
  if (const value* v = r.find(root, "routes"); v && r.array(*v, "routes"))
    for (std::uint32_t i = 0; i < v->count; ++i)
      x.routes.push_back(r.integers(r.document().child(*v, i), "routes", 1, most_stages));
}

void read_root(json_reader& r, const value& root, instance& x) {
  if (r.is_other_format(root, "instance")
      || !r.object(root, "instance", {"format",       "name",          "nodes",
                                      "link_s",       "stages",        "stage_sizes",
                                      "arrangement",  "path_length",   "microbatches_per_origin",
                                      "microbatches", "limits",        "costs",
                                      "stage_cost",   "node_stage_s",  "sync_bytes",
                                      "latency_s",    "bandwidth_Bps", "payload_bytes",
                                      "commit_s",     "routes"}))
    return;
  if (const value* v = r.need(root, "format"); v && r.string(*v, "format") != "skippipe-instance/1")
    r.problem(*v, "format: expected \"skippipe-instance/1\"");
  if (const value* v = r.find(root, "name"))
    x.name = r.string(*v, "name");
  if (const value* v = r.need(root, "nodes"))
    read_nodes(r, *v, x);
  if (const value* v = r.need(root, "stages"))
    x.stages = r.integer(*v, "stages", 1, most_stages);
  if (!r.problems().empty())
    return; // Sizes below depend on these.
  if (const value* v = r.need(root, "stage_sizes"))
    if (v->type != json_document::kind::string || r.document().text(*v) != "free")
      x.stage_sizes = r.integers(*v, "stage_sizes", 1, most_nodes, x.stages);
  if (const value* v = r.need(root, "path_length"))
    x.path_length = r.integer(*v, "path_length", 1, most_stages);
  if (const value* v = r.need(root, "microbatches_per_origin"))
    x.microbatches_per_origin = r.integer(*v, "microbatches_per_origin", 1, most_count);
  if (const value* v = r.find(root, "limits"))
    read_limits(r, *v, x.limits);
  if (const value* v = r.find(root, "costs");
      v && r.object(*v, "costs", {"backward_ratio", "loss_ratio"})) {
    if (const value* f = r.find(*v, "backward_ratio"))
      x.backward_ratio = r.number(*f, "costs.backward_ratio", 1e-9, 1e6);
    if (const value* f = r.find(*v, "loss_ratio"))
      x.loss_ratio = r.number(*f, "costs.loss_ratio", 0, 1e6);
  }
  read_links(r, root, x);
  read_optional(r, root, x);
  if (const value* v = r.find(root, "microbatches");
      v && !x.routes.empty() && x.microbatches != x.routes.size())
    r.problem(*v, "microbatches: expected " + std::to_string(x.routes.size())
                      + ", one per route, got " + std::to_string(x.microbatches));
  const std::uint64_t microbatches =
      x.microbatches != 0 ? x.microbatches
                          : std::uint64_t{x.microbatches_per_origin} * x.nodes.size();
  const std::uint64_t tasks = microbatches * (2 * std::uint64_t{x.path_length} + 1);
  if (tasks > 100 * std::uint64_t{most_count})
    r.problem(root, "instance: " + std::to_string(tasks) + " tasks are too many");
}

void append_list(std::string& out, const std::vector<double>& values, std::size_t from,
                 std::size_t count) {
  out += '[';
  for (std::size_t i = 0; i < count; ++i)
    out += (i ? "," : "") + json_number(values[from + i]);
  out += ']';
}

template <class Integers>
void append_integers(std::string& out, const Integers& values) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i)
    out += (i ? "," : "") + std::to_string(values[i]);
  out += ']';
}

void append_matrix(std::string& out, const char* key, const std::vector<double>& values,
                   std::size_t columns) {
  if (values.empty())
    return;
  out += std::string(",\n\"") + key + "\":[";
  for (std::size_t i = 0; i < values.size(); i += columns) {
    out += i ? ",\n" : "\n";
    append_list(out, values, i, columns);
  }
  out += ']';
}

template <class Lists>
void append_lists(std::string& out, const char* key, const Lists& lists) {
  if (lists.empty())
    return;
  out += std::string(",\n\"") + key + "\":[";
  for (std::size_t i = 0; i < lists.size(); ++i) {
    out += i ? "," : "";
    append_integers(out, lists[i]);
  }
  out += ']';
}

} // namespace

read_result<instance> parse_instance(std::string_view text, const std::string& file) {
  std::string problem;
  const auto document = json_document::parse(text, problem);
  if (!document)
    return {std::nullopt, {file + ":" + problem}};
  json_reader reader(*document, file);
  instance x;
  read_root(reader, document->root(), x);
  // What holds between fields is checked once the fields themselves are sound; whether it can be planned
  // is for the planner to say.
  if (reader.problems().empty())
    for (const std::string& line : check_numbers(x))
      reader.problem(document->root(), line);
  if (!reader.problems().empty())
    return {std::nullopt, reader.problems()};
  return {std::move(x), {}};
}

read_result<instance> load_instance(const std::string& file) {
  std::string problem;
  const auto text = read_file(file, problem);
  if (!text)
    return {std::nullopt, {problem}};
  return parse_instance(*text, file);
}

std::string write_instance(const instance& x) {
  std::string out =
      "{\"format\":\"skippipe-instance/1\",\"name\":" + json_quote(x.name) + ",\n\"nodes\":[";
  for (std::size_t i = 0; i < x.nodes.size(); ++i) {
    const node_spec& n = x.nodes[i];
    out += (i ? ",\n" : "\n") + std::string("{\"id\":") + std::to_string(i) + ",\"name\":"
           + json_quote(n.name) + ",\"location\":" + json_quote(n.location) + ",\"compute_s\":"
           + json_number(n.compute_s) + ",\"memory\":" + std::to_string(n.memory) + "}";
  }
  out += ']';
  append_matrix(out, "link_s", x.link_s, x.nodes.size());
  out += ",\n\"stages\":" + std::to_string(x.stages) + ",\"stage_sizes\":";
  if (x.stage_sizes.empty())
    out += "\"free\"";
  else
    append_integers(out, x.stage_sizes);
  append_lists(out, "arrangement", x.arrangement);
  out += ",\n\"path_length\":" + std::to_string(x.path_length)
         + ",\"microbatches_per_origin\":" + std::to_string(x.microbatches_per_origin)
         + (x.microbatches != 0 ? ",\"microbatches\":" + std::to_string(x.microbatches) : "")
         + ",\n\"limits\":{\"max_swaps\":" + std::to_string(x.limits.max_swaps)
         + ",\"max_swap_distance\":" + std::to_string(x.limits.max_swap_distance)
         + ",\"max_total_swap_distance\":" + std::to_string(x.limits.max_total_swap_distance)
         + ",\"max_jump\":" + std::to_string(x.limits.max_jump)
         + "},\n\"costs\":{\"backward_ratio\":" + json_number(x.backward_ratio)
         + ",\"loss_ratio\":" + json_number(x.loss_ratio) + "}";
  if (!x.stage_cost.empty()) {
    out += ",\n\"stage_cost\":";
    append_list(out, x.stage_cost, 0, x.stage_cost.size());
  }
  if (!x.sync_bytes.empty()) {
    out += ",\n\"sync_bytes\":";
    append_list(out, x.sync_bytes, 0, x.sync_bytes.size());
  }
  append_matrix(out, "latency_s", x.latency_s, x.nodes.size());
  append_matrix(out, "bandwidth_Bps", x.bandwidth_Bps, x.nodes.size());
  if (x.commit_s > 0)
    out += ",\n\"commit_s\":" + json_number(x.commit_s);
  if (!x.node_stage_s.empty()) {
    out += ",\n\"node_stage_s\":[";
    for (std::size_t i = 0; i < x.node_stage_s.size(); ++i) {
      const task_costs& c = x.node_stage_s[i];
      out += (i % x.stages ? "," : (i ? "],\n[" : "\n[")) + std::string("{\"F\":")
             + json_number(c.forward_s) + ",\"B\":" + json_number(c.backward_s)
             + ",\"L\":" + json_number(c.loss_s) + "}";
    }
    out += "]]";
  }
  append_lists(out, "routes", x.routes);
  return out + "}\n";
}

} // namespace skippipe::scheduler
