#include "actors/trace/plan_record.hpp"

#include "actors/trace/event.hpp"

#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <tuple>

namespace skippipe::trace {

namespace {

using times_table = std::vector<std::vector<task_times>>;

template <class Number>
void put(std::string& out, Number value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

void put_string(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (byte < 0x20)
      out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    else
      out += c;
  }
  out += '"';
}

template <class Range, class PutItem>
void put_list(std::string& out, const Range& items, PutItem put_item) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first)
      out += ',';
    first = false;
    put_item(item);
  }
  out += ']';
}

void put_order(std::string& out, const std::vector<scheduler::planned_task>& order,
               const std::vector<task_times>* times) {
  std::size_t i = 0;
  put_list(out, order, [&](const scheduler::planned_task& task) {
    out += '[';
    put(out, task.microbatch);
    out += ',';
    put_string(out, to_string(task.kind));
    if (times != nullptr) {
      out += ',';
      put(out, (*times)[i].start_s);
      out += ',';
      put(out, (*times)[i].end_s);
      ++i;
    }
    out += ']';
  });
}

std::string to_json(const scheduler::plan& plan, const times_table& times) {
  std::string out = "{\"format\":\"skippipe-plan/1\",\"version\":";
  put(out, plan.version);
  out += ",\"strategy\":";
  put_string(out, plan.strategy);
  out += ",\"makespan_s\":";
  put(out, plan.makespan_s);
  out += ",\n\"arrangement\":";
  put_list(out, plan.arrangement,
           [&](const auto& stage) { put_list(out, stage, [&](node_id node) { put(out, node); }); });
  out += ",\n\"paths\":";
  put_list(out, plan.paths, [&](const scheduler::path& path) {
    out += "\n{\"microbatch\":";
    put(out, path.microbatch);
    out += ",\"origin\":";
    put(out, path.origin);
    out += ",\"hops\":";
    put_list(out, path.hops, [&](const scheduler::hop& hop) {
      out += '[';
      put(out, hop.stage);
      out += ',';
      put(out, hop.node);
      out += ']';
    });
    out += '}';
  });
  out += ",\n\"order\":";
  std::size_t node = 0;
  put_list(out, plan.order, [&](const auto& order) {
    out += '\n';
    put_order(out, order, times.empty() ? nullptr : &times[node]);
    ++node;
  });
  out += "}\n";
  return out;
}

bool fits(const scheduler::plan& plan, const times_table& times) {
  if (!std::isfinite(plan.makespan_s))
    return false;
  if (times.empty())
    return true;
  if (times.size() != plan.order.size())
    return false;
  for (std::size_t n = 0; n < times.size(); ++n) {
    if (times[n].size() != plan.order[n].size())
      return false;
    for (const auto& t : times[n])
      if (!std::isfinite(t.start_s) || !std::isfinite(t.end_s))
        return false;
  }
  return true;
}

} // namespace

times_table times_of(const scheduler::plan& plan, const scheduler::simulation& timing) {
  if (timing.start.size() != plan.paths.size() || !timing.violations.empty())
    return {};
  using key = std::tuple<node_id, microbatch_id, scheduler::task_kind>;
  std::map<key, task_times> found;
  for (std::size_t i = 0; i < plan.paths.size(); ++i) {
    const auto& path = plan.paths[i];
    const auto hops = static_cast<std::uint32_t>(path.hops.size());
    for (std::uint32_t step = 0; step < scheduler::step_count(path); ++step)
      found[{scheduler::step_node(path, step), path.microbatch, scheduler::step_kind(hops, step)}] =
          {timing.start[i][step], timing.end[i][step]};
  }
  times_table out;
  for (node_id node = 0; node < plan.order.size(); ++node) {
    auto& times = out.emplace_back();
    for (const auto& task : plan.order[node])
      times.push_back(found[{node, task.microbatch, task.kind}]);
  }
  return out;
}

std::filesystem::path plan_path(const std::filesystem::path& run_dir, plan_version version) {
  return run_dir / "plans" / (std::to_string(version) + ".json");
}

std::error_code write_plan_record(const std::filesystem::path& run_dir, const scheduler::plan& plan,
                                  const times_table& times) {
  if (!fits(plan, times))
    return std::make_error_code(std::errc::invalid_argument);
  std::error_code err;
  std::filesystem::create_directories(run_dir / "plans", err);
  if (err)
    return err;
  const auto path = plan_path(run_dir, plan.version);
  auto aside = path;
  aside += ".new";
  {
    std::ofstream file(aside, std::ios::binary | std::ios::trunc);
    file << to_json(plan, times);
    file.close();
    if (!file) {
      std::filesystem::remove(aside, err);
      return std::make_error_code(std::errc::io_error);
    }
  }
  std::filesystem::rename(aside, path, err);
  if (!err && plan.version > plans_kept) {
    std::error_code ignored; // an old plan that stays only costs space
    std::filesystem::remove(plan_path(run_dir, plan.version - plans_kept), ignored);
  }
  return err;
}

} // namespace skippipe::trace
