#include "runtime/trace/plan_reader.hpp"

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace skippipe::runtime {

namespace {

using nlohmann::json;

struct bad_plan : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const json& field(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key))
    throw bad_plan(std::string("expected an object with the key '") + key + "'");
  return object[key];
}

template <class Number>
Number whole_number(const json& value, const char* what) {
  if (!value.is_number_unsigned()
      || value.get<std::uint64_t>() > std::numeric_limits<Number>::max())
    throw bad_plan(std::string(what) + ": expected a whole number");
  return value.get<Number>();
}

double seconds(const json& value, const char* what) {
  if (!value.is_number())
    throw bad_plan(std::string(what) + ": expected a number");
  return value.get<double>();
}

const json& list(const json& value, const char* what) {
  if (!value.is_array())
    throw bad_plan(std::string(what) + ": expected a list");
  return value;
}

scheduler::task_kind task(const json& value) {
  if (value == "F")
    return scheduler::task_kind::forward;
  if (value == "L")
    return scheduler::task_kind::loss;
  if (value == "B")
    return scheduler::task_kind::backward;
  throw bad_plan("order: a task is \"F\", \"L\" or \"B\"");
}

scheduler::path read_path(const json& value) {
  scheduler::path out;
  out.microbatch = whole_number<microbatch_id>(field(value, "microbatch"), "microbatch");
  out.origin = whole_number<node_id>(field(value, "origin"), "origin");
  for (const auto& hop : list(field(value, "hops"), "hops")) {
    if (!hop.is_array() || hop.size() != 2)
      throw bad_plan("hops: a hop is [stage, node]");
    out.hops.push_back(
        {whole_number<stage_id>(hop[0], "hops"), whole_number<node_id>(hop[1], "hops")});
  }
  return out;
}

void read_order(const json& value, trace::plan_record& out) {
  bool timed = true;
  for (const auto& node : list(value, "order")) {
    auto& order = out.plan.order.emplace_back();
    auto& times = out.times.emplace_back();
    for (const auto& item : list(node, "order")) {
      if (!item.is_array() || (item.size() != 2 && item.size() != 4))
        throw bad_plan("order: a task is [microbatch, kind] or [microbatch, kind, start, end]");
      order.push_back({whole_number<microbatch_id>(item[0], "order"), task(item[1])});
      if (item.size() == 4)
        times.push_back({seconds(item[2], "order"), seconds(item[3], "order")});
      else
        timed = false;
    }
    timed = timed && times.size() == order.size();
  }
  if (!timed)
    out.times.clear();
}

trace::plan_record read_record(const json& value) {
  if (field(value, "format") != "skippipe-plan/1")
    throw bad_plan("format: expected \"skippipe-plan/1\"");
  trace::plan_record out;
  out.plan.version = whole_number<plan_version>(field(value, "version"), "version");
  if (!field(value, "strategy").is_string())
    throw bad_plan("strategy: expected a text");
  out.plan.strategy = value["strategy"].get<std::string>();
  out.plan.makespan_s = seconds(field(value, "makespan_s"), "makespan_s");
  for (const auto& stage : list(field(value, "arrangement"), "arrangement")) {
    auto& nodes = out.plan.arrangement.emplace_back();
    for (const auto& node : list(stage, "arrangement"))
      nodes.push_back(whole_number<node_id>(node, "arrangement"));
  }
  for (const auto& path : list(field(value, "paths"), "paths"))
    out.plan.paths.push_back(read_path(path));
  read_order(field(value, "order"), out);
  return out;
}

} // namespace

plan_record_result parse_plan_record(std::string_view text) {
  try {
    return read_record(json::parse(text));
  } catch (const json::exception& e) {
    return std::string("not a plan: ") + e.what();
  } catch (const bad_plan& e) {
    return std::string("not a plan: ") + e.what();
  }
}

plan_record_result load_plan_record(const std::filesystem::path& run_dir, plan_version version) {
  const auto path = trace::plan_path(run_dir, version);
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return path.string() + ": cannot read";
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto result = parse_plan_record(text);
  if (auto* line = std::get_if<std::string>(&result))
    return path.string() + ": " + *line;
  return result;
}

} // namespace skippipe::runtime
