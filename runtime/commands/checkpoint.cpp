// skippipe checkpoint: what a checkpoint is of, and whether it is whole.
#include "model/checkpoint_folder.hpp"
#include "model/checkpoint_reader.hpp"
#include "runtime/cli.hpp"
#include "runtime/counted.hpp"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

namespace fs = std::filesystem;

/// The checkpoints that `where` stands for: itself, or those of a run folder, the oldest first.
std::vector<fs::path> checkpoints_of(const fs::path& where) {
  if (fs::exists(where / model::manifest_name))
    return {where};
  auto entries = model::list_checkpoints(where);
  if (entries.empty())
    entries = model::list_checkpoints(where / "checkpoints");
  std::vector<fs::path> paths;
  for (const auto& entry : entries)
    paths.push_back(entry.path);
  if (!paths.empty())
    return paths;
  if (!fs::exists(where))
    throw command_error(where.string() + ": no such folder; check the path");
  throw command_error(where.string() + ": no checkpoint here; name a run folder or a checkpoint");
}

std::string megabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

int print_info(const fs::path& where, bool json) {
  const auto path = checkpoints_of(where).back();
  const model::checkpoint_reader reader{path};
  const auto& m = reader.manifest();
  if (json) {
    auto object = nlohmann::json::parse(model::encode_manifest(m));
    object["path"] = path.string();
    print_json(object);
    return 0;
  }
  std::uint64_t bytes = 0;
  for (const auto& file : m.files)
    bytes += file.size;
  std::string layers;
  for (const auto count : m.layers_per_stage)
    layers += (layers.empty() ? "" : ", ") + std::to_string(count);
  std::cout << path.string() << "\n  job        " << m.job << "\n  iteration  " << m.iteration
            << " of " << m.optimizer.total_iterations << "\n  model      "
            << (m.model.preset.empty() ? "" : m.model.preset + ": ") << m.model.layers
            << " layers, dim " << m.model.dim << ", " << m.model.heads << " heads ("
            << m.model.kv_heads << " kv), ffn " << m.model.ffn << ", vocab " << m.model.vocab
            << ", context " << m.model.context << ", " << dtype_name(m.model.compute)
            << "\n  stages     " << m.stages << " of " << layers << " layers, paths of "
            << m.path_length << "\n  batch      " << counted(m.microbatches, "microbatch") << " of "
            << counted(m.microbatch_size, "sample") << "\n  seed       " << m.seed
            << (m.deterministic ? ", deterministic" : "") << "\n  tokenizer  " << m.tokenizer
            << "\n  files      " << m.files.size() << ", " << megabytes(bytes) << '\n';
  return 0;
}

int print_verified(const fs::path& where, bool json) {
  int status = 0;
  for (const auto& path : checkpoints_of(where)) {
    std::string problem;
    std::uint64_t iteration = 0;
    try {
      iteration = model::verify_checkpoint(path).iteration;
    } catch (const std::exception& error) {
      problem = error.what();
      status = 1;
    }
    if (json) {
      nlohmann::json object = {{"path", path.string()}, {"valid", problem.empty()}};
      if (problem.empty())
        object["iteration"] = iteration;
      else
        object["problem"] = problem;
      print_json(object);
    } else if (problem.empty()) {
      std::cout << path.string() << ": OK, iteration " << iteration << '\n';
    }
    if (!problem.empty())
      std::cerr << "skippipe: " << problem << '\n';
  }
  return status;
}

} // namespace

void add_checkpoint(CLI::App& app, command_context& context) {
  auto* checkpoint = app.add_subcommand("checkpoint", "Look into checkpoints and check them");
  checkpoint->require_subcommand(1);
  auto folder = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  const auto add = [&](const char* name, const char* about, int (*run)(const fs::path&, bool)) {
    auto* command = checkpoint->add_subcommand(name, about);
    command->add_option("DIR", *folder, "A checkpoint, or a run folder")->required();
    command->add_flag("--json", *json, "JSON on stdout");
    command->callback([&context, folder, json, run] {
      context.run = [folder, json, run] {
        try {
          return run(*folder, *json);
        } catch (const std::exception& error) {
          if (*json)
            print_json({{"path", *folder}, {"valid", false}, {"problem", error.what()}});
          throw;
        }
      };
    });
  };
  add("info", "Say what a checkpoint is of (of a run folder: the newest)", print_info);
  add("verify", "Check every byte (of a run folder: of every checkpoint)", print_verified);
}

} // namespace skippipe::runtime
