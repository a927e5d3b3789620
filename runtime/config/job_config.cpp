#include "runtime/config/job_config.hpp"

#include "runtime/config/file_kind.hpp"
#include "runtime/config/job_text.hpp"
#include "runtime/config/toml_document.hpp"
#include "scheduler/path_rules.hpp"

#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

namespace skippipe::runtime {

namespace {

// An embedded cluster plans within seconds up to here.
constexpr std::uint32_t most_nodes = 4096, most_microbatches = 2048;
constexpr auto most32 = std::int64_t{1} << 31;
constexpr auto most64 = std::numeric_limits<std::int64_t>::max();

/// False where the number of layers could not be read.
bool read_model(const toml_document& document, job_config& job, problem_list& problems) {
  table_reader table{document, "model", problems};
  auto& m = job.model;
  std::string preset;
  if (table.choice("preset", preset, model::preset_names()))
    m = *model::find_preset(preset);
  const auto before = problems.size();
  table.integer("dim", m.dim, 2, 1 << 20);
  const bool layers = table.integer("layers", m.layers, 1, 4096) || !table.has("layers");
  if (table.integer("heads", m.heads, 1, 4096) && !table.has("kv_heads"))
    m.kv_heads = m.heads;
  table.integer("kv_heads", m.kv_heads, 1, 4096);
  table.integer("ffn", m.ffn, 1, 1 << 22);
  table.integer("vocab", m.vocab, 2, 1 << 24);
  table.integer("context", m.context, 1, 1 << 20);
  table.boolean("tied", m.tied);
  std::string type{model::dtype_name(m.compute)};
  if (table.choice("dtype", type, {"float32", "bfloat16", "float64"}))
    m.compute = *model::find_dtype(type);
  table.boolean("recompute", m.recompute);
  table.number("norm_eps", m.norm_eps, 1e-12, 1);
  table.number("rope_theta", m.rope_theta, 1, 1e12);
  table.finish();
  if (problems.size() == before)
    for (const auto& problem : model::validate(m))
      table.complain(problem.key, problem.what);
  return layers;
}

/// False where the number of stages could not be read: what depends on it is not worth checking.
bool read_pipeline(const toml_document& document, job_config& job, bool layers_known,
                   problem_list& problems) {
  table_reader table{document, "pipeline", problems};
  auto& p = job.pipeline;
  const bool stages_known = table.integer("stages", p.stages, 1, 1024) || !table.has("stages");
  table.integers("layers_per_stage", p.layers_per_stage, 0, 4096);
  double skip = 0;
  const bool has_skip = table.number("skip_ratio", skip, 0, 0.99);
  const auto by_ratio =
      p.stages - static_cast<std::uint32_t>(std::lround(skip * static_cast<double>(p.stages)));
  const bool has_length = table.integer("path_length", p.path_length, 1, 1024);
  if (!has_length)
    p.path_length = by_ratio;
  if (!stages_known) {
    // Reported already.
  } else if (by_ratio == 0)
    table.complain("skip_ratio", "expected to leave at least stage 0 of " + std::to_string(p.stages)
                                     + " stages, got a path of length 0");
  else if (p.path_length > p.stages)
    table.complain("path_length", "expected at most stages = " + std::to_string(p.stages) + ", got "
                                      + std::to_string(p.path_length));
  else if (has_skip && p.path_length != by_ratio)
    table.complain("path_length", "expected " + std::to_string(by_ratio)
                                      + " as skip_ratio gives, got " + std::to_string(p.path_length)
                                      + "; give one of the two");
  table.integer("microbatches_per_origin", p.microbatches_per_origin, 1, 1 << 16);
  table.integer("microbatch_size", p.microbatch_size, 1, 1 << 16);
  table.integer("memory_microbatches", p.memory_microbatches, 1, 1 << 16);
  std::string strategy;
  if (table.choice("strategy", strategy, strategy_names()))
    p.strategy = *find_strategy(strategy);
  table.boolean("deterministic", p.deterministic);
  table.choice("on_failure", p.on_failure, {"reroute", "replay"});
  table.finish();
  if (!stages_known)
    return false;

  if (!p.layers_per_stage.empty()) {
    const auto sum = std::accumulate(p.layers_per_stage.begin(), p.layers_per_stage.end(), 0u);
    if (p.layers_per_stage.size() != p.stages)
      table.complain("layers_per_stage", "expected one entry for each of "
                                             + std::to_string(p.stages) + " stages, got "
                                             + std::to_string(p.layers_per_stage.size()));
    else if (layers_known && sum != job.model.layers)
      table.complain("layers_per_stage",
                     "expected a sum of layers = " + std::to_string(job.model.layers) + ", got "
                         + std::to_string(sum));
  } else if (layers_known && p.stages > job.model.layers) {
    table.complain("stages", "expected at most layers = " + std::to_string(job.model.layers)
                                 + ", got " + std::to_string(p.stages));
  }
  if (p.strategy == scheduler::strategy::full && p.path_length != p.stages)
    table.complain("strategy", "expected a path through all " + std::to_string(p.stages)
                                   + " stages for 'full', got path_length "
                                   + std::to_string(p.path_length));
  return true;
}

void read_train(const toml_document& document, job_config& job, problem_list& problems) {
  table_reader table{document, "train", problems};
  auto& o = job.optimizer;
  o.total_iterations = 100;
  table.integer("total_iterations", o.total_iterations, 1, most64);
  table.number("lr", o.lr, 0, 1000);
  table.integer("warmup", o.warmup, 0, most64);
  table.number("min_lr_ratio", o.min_lr_ratio, 0, 1);
  table.number("clip", o.clip, 0, 1e12);
  table.number("weight_decay", o.weight_decay, 0, 1000);
  table.number("beta1", o.beta1, 0, 0.999999);
  table.number("beta2", o.beta2, 0, 0.999999999);
  table.number("eps", o.eps, 0, 1);
  table.integer("seed", job.seed, 0, most64);
  table.integer("eval_every", job.eval_every, 0, most64);
  table.integer("eval_batches", job.eval_batches, 1, 1 << 20);
  table.integer("sample_tokens", job.sample_tokens, 0, 1 << 20);
  table.finish();
}

void read_data(const toml_document& document, job_config& job, problem_list& problems) {
  table_reader table{document, "data", problems};
  std::string dir; // An empty one is none.
  if (table.text("dir", dir) && !dir.empty())
    table.path("dir", job.data.dir);
  table.choice("corpus", job.data.corpus, {"debian"});
  table.choice("tokenizer", job.data.tokenizer, {"byte", "spm"});
  table.integer("vocab_size", job.data.vocab_size, 300, 1 << 20);
  table.finish();
  if (job.data.dir.empty() && job.data.corpus.empty())
    table.complain("dir", "expected the folder that `skippipe data prepare` made, or corpus = "
                          "\"debian\" for the built-in text");
  if (job.data.corpus.empty())
    return;
  const auto vocab = job.data.tokenizer == "byte" ? 257 : job.data.vocab_size;
  if (job.model.vocab != vocab) {
    table_reader model{document, "model", problems};
    model.complain("vocab", "expected " + std::to_string(vocab)
                                + " as the [data] tokenizer gives, got "
                                + std::to_string(job.model.vocab));
  }
}

void read_cluster(const toml_document& document, job_config& job, bool stages_known,
                  problem_list& problems) {
  table_reader table{document, "cluster", problems};
  const auto stages = job.pipeline.stages;
  job.nodes = stages;
  const bool has_nodes = table.integer("nodes", job.nodes, 1, most_nodes);
  const bool has_replicas = table.integers("replicas", job.replicas, 1, most_nodes);
  table.integer("threads", job.threads, 0, 4096);
  if (table.text("device", job.device) && job.device != "cpu" && job.device != "cuda"
      && !job.device.starts_with("cuda:"))
    table.complain("device", "expected 'cpu' or 'cuda:N', got '" + job.device + "'");
  table.finish();
  if (!stages_known)
    return;
  if (has_replicas) {
    const auto sum = std::accumulate(job.replicas.begin(), job.replicas.end(), 0u);
    if (job.replicas.size() != stages)
      table.complain("replicas", "expected one entry for each of " + std::to_string(stages)
                                     + " stages, got " + std::to_string(job.replicas.size()));
    else if (has_nodes && sum != job.nodes)
      table.complain("replicas", "expected a sum of nodes = " + std::to_string(job.nodes) + ", got "
                                     + std::to_string(sum));
    else if (sum > most_nodes)
      table.complain("replicas", "expected a sum of at most " + std::to_string(most_nodes)
                                     + " nodes, got " + std::to_string(sum));
    job.nodes = sum;
  } else if (job.nodes < stages) {
    table.complain("nodes", "expected at least one for each of " + std::to_string(stages)
                                + " stages, got " + std::to_string(job.nodes));
  } else {
    job.use_nodes(job.nodes);
  }
}

/// Where a cluster keeps checkpoints: "scheduler", "scheduler+peer" or "scheduler+NODE".
void read_store(table_reader& table, job_config& job) {
  std::string store;
  if (!table.text("store", store))
    return;
  const std::string_view scheduler = "scheduler";
  auto copy = store.starts_with(scheduler) ? store.substr(scheduler.size()) : "?";
  job.checkpoint_copy = !copy.empty();
  if (copy != "+peer" && !copy.empty())
    job.checkpoint_holder = copy.substr(1);
  if (job.checkpoint_copy
      && (copy[0] != '+' || copy.size() == 1 || copy.find_first_of("/ \t\n") != std::string::npos))
    table.complain("store", "expected 'scheduler', 'scheduler+peer' or 'scheduler+NODE', got '"
                                + store + "'");
}

} // namespace

const std::vector<std::string>& strategy_names() {
  static const std::vector<std::string> names = {"full", "random", "no-collision", "cbs",
                                                 "skippipe"};
  return names;
}

std::optional<scheduler::strategy> find_strategy(const std::string& name) {
  const auto& names = strategy_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name)
      return static_cast<scheduler::strategy>(i);
  return std::nullopt;
}

std::string strategy_name(scheduler::strategy which) {
  return strategy_names()[static_cast<std::size_t>(which)];
}

void job_config::use_nodes(std::uint32_t count) {
  nodes = count;
  replicas.assign(pipeline.stages, count / pipeline.stages);
  for (std::uint32_t i = 0; i < count % pipeline.stages; ++i)
    ++replicas[i];
}

scheduler::instance job_config::instance() const {
  scheduler::instance problem;
  problem.name = name;
  problem.stages = pipeline.stages;
  problem.stage_sizes = replicas;
  problem.path_length = pipeline.path_length;
  problem.microbatches_per_origin = pipeline.microbatches_per_origin;
  problem.limits = limits;
  node_id next = 0;
  for (auto count : replicas) {
    auto& stage = problem.arrangement.emplace_back();
    for (std::uint32_t i = 0; i < count; ++i) {
      stage.push_back(next);
      scheduler::node_spec node;
      node.name = "node-" + std::to_string(next++);
      node.location = "here";
      node.memory = pipeline.memory_microbatches;
      problem.nodes.push_back(std::move(node));
    }
  }
  problem.link_s.assign(problem.nodes.size() * problem.nodes.size(), 0.0);
  // The order of the layers is drawn from the seed alone, so that no membership changes it (R12).
  const bool given = pipeline.deterministic && pipeline.strategy != scheduler::strategy::full;
  if (microbatches() != replicas[0] * pipeline.microbatches_per_origin)
    problem.microbatches = microbatches();
  if (given)
    problem.routes = scheduler::deterministic_routes(pipeline.stages, pipeline.path_length, limits,
                                                     microbatches(), seed);
  return problem;
}

namespace {

std::optional<job_config> with_overrides(std::optional<toml_document> document,
                                         const std::vector<std::string>& overrides,
                                         problem_list& problems) {
  if (!document)
    return std::nullopt;
  for (const auto& word : overrides)
    document->override_key(word, problems);
  return read_job(*document, problems);
}

} // namespace

std::optional<job_config> load_job(const std::filesystem::path& file,
                                   const std::vector<std::string>& overrides,
                                   problem_list& problems) {
  return with_overrides(toml_document::load(file, problems), overrides, problems);
}

std::optional<job_config> parse_job(const std::string& text, const std::string& name,
                                    const std::vector<std::string>& overrides,
                                    problem_list& problems) {
  return with_overrides(toml_document::parse(text, name, problems), overrides, problems);
}

std::optional<job_config> read_job(const toml_document& document, problem_list& problems) {
  if (is_of_other_kind(document, file_kind::job, problems))
    return std::nullopt;
  job_config job;
  job.text = text_of(document);
  {
    table_reader root{document, "", problems};
    for (const auto& name : tables_of(file_kind::job))
      root.accept(name);
    root.finish();
  }
  {
    table_reader table{document, "job", problems};
    if (table.text("name", job.name)
        && (job.name.empty() || job.name.find('/') != std::string::npos))
      table.complain("name", "expected a name without '/', got '" + job.name + "'");
    table.finish();
  }
  const bool layers_known = read_model(document, job, problems);
  const bool stages_known = read_pipeline(document, job, layers_known, problems);
  {
    table_reader table{document, "limits", problems};
    table.integer("max_swaps", job.limits.max_swaps, 0, 1024);
    table.integer("max_swap_distance", job.limits.max_swap_distance, 0, 1024);
    table.integer("max_total_swap_distance", job.limits.max_total_swap_distance, 0, most32);
    table.integer("max_jump", job.limits.max_jump, 1, 1024);
    table.finish();
  }
  read_train(document, job, problems);
  read_data(document, job, problems);
  {
    table_reader table{document, "checkpoint", problems};
    table.integer("every", job.checkpoint_every, 0, most64);
    table.integer("keep", job.checkpoint_keep, 1, 1 << 20);
    read_store(table, job);
    table.finish();
  }
  read_cluster(document, job, stages_known, problems);
  if (!problems.empty())
    return std::nullopt;
  if (job.microbatches() > most_microbatches) {
    table_reader table{document, "pipeline", problems};
    table.complain("microbatches_per_origin",
                   "expected at most " + std::to_string(most_microbatches)
                       + " microbatches in an iteration, got " + std::to_string(job.microbatches())
                       + " on " + std::to_string(job.replicas[0]) + " origins");
    return std::nullopt;
  }
  // Only a sound job is worth asking about.
  const auto any_routes = scheduler::strategy::random;
  if (const auto why = scheduler::find_obstacle(job.instance(), {&any_routes, 1})) {
    table_reader table{document, "pipeline", problems};
    constexpr std::string_view length = "path_length = ";
    auto nearest = why->nearest;
    const bool by_length = table.has("path_length");
    if (!by_length && nearest.starts_with(length)) {
      // In the key that was written; rounded, it gives that length again.
      char ratio[32];
      std::size_t digits = 0;
      const auto left = std::stod(nearest.substr(length.size()), &digits) / job.pipeline.stages;
      std::snprintf(ratio, sizeof ratio, "skip_ratio = %.4g", 1 - left);
      nearest.replace(0, length.size() + digits, ratio);
    }
    table.complain(by_length ? "path_length" : "skip_ratio",
                   "no feasible plan: " + why->reason + "; nearest: " + nearest);
    problems.set_infeasible();
    return std::nullopt;
  }
  return job;
}

} // namespace skippipe::runtime
