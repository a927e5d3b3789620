#include "runtime/daemon/job_record.hpp"

#include "model/file_io.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::array<const char*, 5> state_names = {"queued", "running", "done", "stopped",
                                                    "failed"};

json to_json(const file_set& set) {
  json files = json::array();
  for (const auto& file : set.files)
    files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  return {{"id", set.id}, {"files", files}};
}

file_set set_from_json(const json& x) {
  file_set set;
  set.id = x.at("id");
  for (const auto& file : x.at("files"))
    set.files.push_back({file.at("name"), file.at("size"), file.at("sha256")});
  return set;
}

json to_json(const job_record& record) {
  json copies = json::array();
  for (const auto& copy : record.copies)
    copies.push_back(
        {{"node", copy.node}, {"iteration", copy.iteration}, {"files", to_json(copy.files)}});
  return {{"version", 1},
          {"id", record.id},
          {"number", record.number},
          {"file", record.file},
          {"text", record.text},
          {"overrides", record.overrides},
          {"run_dir", record.run_dir},
          {"resume", record.resume},
          {"last", record.last},
          {"data", to_json(record.data)},
          {"microbatches", record.microbatches},
          {"nodes", record.nodes},
          {"state", to_string(record.state)},
          {"outcome", record.outcome},
          {"iteration", record.iteration},
          {"copies", copies}};
}

job_record from_json(const json& x) {
  job_record record;
  record.id = x.at("id");
  record.number = x.value("number", std::uint64_t{0});
  record.file = x.at("file");
  record.text = x.at("text");
  record.overrides = x.at("overrides").get<std::vector<std::string>>();
  record.run_dir = x.at("run_dir");
  record.resume = x.at("resume");
  record.last = x.at("last");
  record.data = set_from_json(x.at("data"));
  record.microbatches = x.at("microbatches");
  record.nodes = x.at("nodes").get<std::vector<std::string>>();
  const auto found =
      std::find(state_names.begin(), state_names.end(), x.at("state").get<std::string>());
  if (found == state_names.end())
    throw std::runtime_error("an unknown state");
  record.state = static_cast<job_state>(found - state_names.begin());
  record.outcome = x.at("outcome");
  record.iteration = x.at("iteration");
  for (const auto& copy : x.value("copies", json::array()))
    record.copies.push_back(
        {copy.at("node"), copy.at("iteration"), set_from_json(copy.at("files"))});
  return record;
}

} // namespace

std::string to_string(job_state state) { return state_names[static_cast<std::size_t>(state)]; }

job_book::job_book(fs::path folder) : folder_(std::move(folder)) {
  std::error_code problem;
  fs::create_directories(folder_, problem);
  if (problem)
    throw std::runtime_error(folder_.string() + ": cannot be created: " + problem.message()
                             + "; choose another scheduler.journal");
}

std::vector<job_record> job_book::load(std::vector<std::string>& problems) const {
  std::vector<job_record> found;
  for (const auto& entry : fs::directory_iterator{folder_}) {
    if (entry.path().extension() != ".json")
      continue;
    try {
      found.push_back(from_json(json::parse(model::read_text(entry.path()))));
    } catch (const std::exception& problem) {
      problems.push_back(entry.path().string() + ": passed over, it is damaged: " + problem.what());
    }
  }
  std::sort(found.begin(), found.end(), [](const job_record& a, const job_record& b) {
    return std::tie(a.number, a.id) < std::tie(b.number, b.id);
  });
  return found;
}

void job_book::keep(const job_record& record) const {
  const auto text = to_json(record).dump(2) + "\n";
  model::write_whole(folder_ / (record.id + ".json"),
                     [&](model::output_file& out) { out.write(std::as_bytes(std::span{text})); });
  model::sync_directory(folder_);
}

} // namespace skippipe::runtime::daemon
