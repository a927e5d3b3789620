// What a wrong job file is answered with: the place, the key, what was expected.
#include "config_fixture.hpp"

#include "runtime/config/job_text.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::test;

namespace {

struct slip {
  const char* from;
  const char* to;
  const char* line; ///< How the answer, one line, begins.
};

} // namespace

TEST_CASE("a sound job has no problem", "[config]") { CHECK(problems_of(sound_job) == ""); }

TEST_CASE("each slip in a job file is one line with its place", "[config]") {
  for (const auto& [from, to, line] : std::vector<slip>{
           {"[model]", "[modle]", "j.toml:3:2: unknown key 'modle', did you mean 'model'?"},
           {"heads = 4\n", "headz = 4\n",
            "j.toml:6:1: model: unknown key 'headz', did you mean 'heads'?"},
           {"\"sound\"", "7", "j.toml:2:8: job.name: expected a string, got 7"},
           {"\"sound\"", "\"a/b\"", "j.toml:2:8: job.name: expected a name without '/', got 'a/b'"},
           {"[job]\nname = \"sound\"", "job = 3", "j.toml:1:7: job: expected a table, got 3"},
           {"dim = 64", "dim = -1",
            "j.toml:4:7: model.dim: expected an integer in 2..1048576, got -1"},
           {"dim = 64", "dim = 64.5",
            "j.toml:4:7: model.dim: expected an integer in 2..1048576, got 64.5"},
           {"dim = 64", "dim = 99999999999999999999", "j.toml:4:"},
           {"dim = 64", "dim = 66", "j.toml:6:9: model.heads: expected "},
           {"kv_heads = 2", "kv_heads = 3", "j.toml:7:12: model.kv_heads: expected "},
           {"context = 32", "context = 32\ndtype = \"bfloat\"",
            "j.toml:11:9: model.dtype: expected one of float32, bfloat16, float64, got 'bfloat', "
            "did you mean 'bfloat16'?"},
           {"context = 32", "context = 32\ntied = 1",
            "j.toml:11:8: model.tied: expected true or false, got 1"},
           {"context = 32", "context = 32\npreset = \"huge\"",
            "j.toml:11:10: model.preset: expected one of "},
           {"layers = 8", "layers = 3",
            "j.toml:12:10: pipeline.stages: expected at most layers = 3, got 4"},
           {"stages = 4", "stages = 4\nlayers_per_stage = [2, 2, 4]",
            "j.toml:13:20: pipeline.layers_per_stage: expected one entry for each of 4 stages, "
            "got 3"},
           {"stages = 4", "stages = 4\nlayers_per_stage = [2, 2, 2, 3]",
            "j.toml:13:20: pipeline.layers_per_stage: expected a sum of layers = 8, got 9"},
           {"stages = 4", "stages = 4\nlayers_per_stage = [2, 2, \"2\", 2]",
            "j.toml:13:27: pipeline.layers_per_stage: expected integers in 0..4096, got '2'"},
           {"skip_ratio = 0.25", "skip_ratio = 25",
            "j.toml:13:14: pipeline.skip_ratio: expected a number in 0..0.99, got 25"},
           {"skip_ratio = 0.25", "skip_ratio = 0.9",
            "j.toml:13:14: pipeline.skip_ratio: expected to leave at least stage 0 of 4 stages, "
            "got a path of length 0"},
           {"skip_ratio = 0.25", "skip_ratio = 0.25\npath_length = 2",
            "j.toml:14:15: pipeline.path_length: expected 3 as skip_ratio gives, got 2; give one "
            "of the two"},
           {"skip_ratio = 0.25", "path_length = 5",
            "j.toml:13:15: pipeline.path_length: expected at most stages = 4, got 5"},
           {"memory_microbatches = 3", "memory_microbatches = 0",
            "j.toml:15:23: pipeline.memory_microbatches: expected an integer in 1..65536, got 0"},
           {"\"random\"", "\"randon\"",
            "j.toml:16:12: pipeline.strategy: expected one of full, random, no-collision, cbs, "
            "skippipe, got 'randon', did you mean 'random'?"},
           {"\"random\"", "\"full\"",
            "j.toml:16:12: pipeline.strategy: expected a path through all 4 stages for 'full', "
            "got path_length 3"},
           {"microbatches_per_origin = 4", "microbatches_per_origin = 4096",
            "j.toml:14:27: pipeline.microbatches_per_origin: expected at most 2048 microbatches in "
            "an iteration, got 8192 on 2 origins"},
           {"lr = 1e-3", "lr = nan",
            "j.toml:18:6: train.lr: expected a number in 0..1000, got nan"},
           {"lr = 1e-3", "lr = inf",
            "j.toml:18:6: train.lr: expected a number in 0..1000, got inf"},
           {"lr = 1e-3", "lr = \"fast\"",
            "j.toml:18:6: train.lr: expected a number in 0..1000, got 'fast'"},
           {"lr = 1e-3", "lr = 1e-3\nseed = -1", "j.toml:19:8: train.seed: expected an integer"},
           {"corpus = \"debian\"", "tokenizer = \"spm\"",
            "j.toml:19:1: data.dir: expected the folder that `skippipe data prepare` made"},
           {"vocab_size = 2048", "vocab_size = 4096",
            "j.toml:9:9: model.vocab: expected 4096 as the [data] tokenizer gives, got 2048"},
           {"nodes = 8", "nodes = 3",
            "j.toml:23:9: cluster.nodes: expected at least one for each of 4 stages, got 3"},
           {"nodes = 8", "nodes = 60000",
            "j.toml:23:9: cluster.nodes: expected an integer in 1..4096, got 60000"},
           {"nodes = 8", "nodes = 8\nreplicas = [2, 2, 2, 1]",
            "j.toml:24:12: cluster.replicas: expected a sum of nodes = 8, got 7"},
           {"nodes = 8", "replicas = [4096, 1, 1, 1]",
            "j.toml:23:12: cluster.replicas: expected a sum of at most 4096 nodes, got 4099"},
           {"nodes = 8", "nodes = 8\ndevice = \"tpu\"",
            "j.toml:24:10: cluster.device: expected 'cpu' or 'cuda:N', got 'tpu'"},
           {"nodes = 8", "nodes = 8\n[cluster]\nthreads = 1", "j.toml:24:"},
           {"[cluster]\n", "[checkpoint]\nstore = \"schedular\"\n[cluster]\n",
            "j.toml:23:9: checkpoint.store: expected 'scheduler', 'scheduler+peer' or "
            "'scheduler+NODE', got 'schedular'"},
           {"[cluster]\n", "[checkpoint]\nstore = \"scheduler+\"\n[cluster]\n",
            "j.toml:23:9: checkpoint.store: expected "},
           {"nodes = 8", "nodes = ", "j.toml:23:9: not TOML: "},
           {"nodes = 8", "nodes = 8\n[limits]\nmax_jump = 1\nmax_swaps = 0\n",
            "j.toml:13:14: pipeline.skip_ratio: no feasible plan: "},
           {"skip_ratio = 0.25", "skip_ratio = 0.75",
            "j.toml:13:14: pipeline.skip_ratio: no feasible plan: path_length is 1, so stages 1..3 "
            "would never train; nearest: skip_ratio = 0.5"},
           {"skip_ratio = 0.25", "path_length = 1",
            "j.toml:13:15: pipeline.path_length: no feasible plan: path_length is 1, so stages "
            "1..3 would never train; nearest: path_length = 2"},
           {"\"sound\"", "\"\xff\"", "j.toml:2:8: not TOML: "},
           {"[model]", "\"a\\nb\\u001b[31m\" = 1\n[model]",
            "j.toml:3:1: job: unknown key 'a\\nb\\x1b[31m'"}}) {
    INFO(from << " -> " << to);
    const auto text = problems_of(changed(from, to));
    CHECK(text.substr(0, std::string{line}.size()) == line);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("checkpoint.store says whether and where a copy is held", "[config]") {
  const auto read = [](const std::string& store) {
    runtime::problem_list problems;
    auto document = runtime::toml_document::parse(sound_job, "j.toml", problems);
    if (!store.empty())
      document->override_key("checkpoint.store=" + store, problems);
    const auto job = runtime::read_job(*document, problems);
    REQUIRE(job);
    return std::pair{job->checkpoint_copy, job->checkpoint_holder};
  };
  CHECK(read("") == std::pair{true, std::string{}});
  CHECK(read("scheduler+peer") == std::pair{true, std::string{}});
  CHECK(read("scheduler") == std::pair{false, std::string{}});
  CHECK(read("scheduler+paris-1") == std::pair{true, std::string{"paris-1"}});
}

TEST_CASE("all problems of a job file come at once, by place", "[config]") {
  auto text = changed("lr = 1e-3", "lr = -1\nwarmpu = 3");
  text.replace(text.find("dim = 64"), 8, "dim = 0 ");
  text.replace(text.find("nodes = 8"), 9, "nodes = 0");
  CHECK(problems_of(text)
        == "j.toml:4:7: model.dim: expected an integer in 2..1048576, got 0\n"
           "j.toml:18:6: train.lr: expected a number in 0..1000, got -1\n"
           "j.toml:19:1: train: unknown key 'warmpu', did you mean 'warmup'?\n"
           "j.toml:24:9: cluster.nodes: expected an integer in 1..4096, got 0");
}

TEST_CASE("what depends on a wrong value is not complained about", "[config]") {
  auto text = changed("stages = 4", "stages = \"four\"\nlayers_per_stage = [2, 2, 2, 2]");
  text += "replicas = [2, 2, 2, 2]\n";
  CHECK(problems_of(text)
        == "j.toml:12:10: pipeline.stages: expected an integer in 1..1024, got 'four'");
  CHECK(problems_of(changed("layers = 8", "layers = 0"))
        == "j.toml:5:10: model.layers: expected an integer in 1..4096, got 0");

  // Neither is the default number of layers held against the rest of the file.
  const std::string layers = "j.toml:5:10: model.layers: expected an integer in 1..4096, got 'ten'";
  text = changed("stages = 4", "stages = 4\nlayers_per_stage = [2, 2, 3, 3]");
  CHECK(problems_of(text.replace(text.find("layers = 8"), 10, "layers = 'ten'")) == layers);
  text = changed("stages = 4", "stages = 10");
  text.replace(text.find("nodes = 8"), 9, "nodes = 10");
  CHECK(problems_of(text.replace(text.find("layers = 8"), 10, "layers = 'ten'")) == layers);
}

TEST_CASE("--set is checked like the file", "[config]") {
  CHECK(problems_of(sound_job, {"train.lr=0.5", "job.name=word", "pipeline.strategy=random"})
        == "");
  for (const auto& [word, line] : std::vector<std::pair<std::string, std::string>>{
           {"train.lr=-1", "--set train.lr=-1: train.lr: expected a number in 0..1000, got -1"},
           {"train.lrr=1", "--set train.lrr=1: train: unknown key 'lrr', did you mean 'lr'?"},
           {"tarin.lr=1", "--set tarin.lr=1: unknown key 'tarin', did you mean 'train'?"},
           {"train=1", "--set train=1: train: expected a table, got 1"},
           {"train.lr", "--set: expected key=value, got 'train.lr'"},
           {"=1", "--set: expected key=value, got '=1'"},
           {"train..lr=1", "--set train..lr=1: not TOML: "}}) {
    INFO(word);
    CHECK(problems_of(sound_job, {word}).substr(0, line.size()) == line);
  }
}

TEST_CASE("two jobs differ in what is given", "[config]") {
  using namespace skippipe::runtime;
  const auto given = [](const std::string& text, const std::vector<std::string>& words) {
    problem_list problems;
    auto document = toml_document::parse(text, "f", problems);
    REQUIRE(document);
    for (const auto& word : words)
      document->override_key(word, problems);
    CHECK(problems.empty());
    return text_of(*document);
  };
  const std::string job = "[train]\nlr = 1e-3 # slow\nseed = 3\n[cluster]\nreplicas = [2, 1]\n"
                          "[data]\ndir = 'here'\n";
  const auto before = given(job, {});
  CHECK(
      differences(
          given("[data]\ndir='there'\n[cluster]\nreplicas=[2,1]\n[train]\nseed=3\nlr=0.001\n", {}),
          before)
          .empty());
  CHECK(differences(
            given(job, {"train.lr=2e-3", "train.clip=1.5", "cluster.replicas=[1,2]", "job.name=b"}),
            before)
        == "cluster.replicas ([ 1, 2 ], was [ 2, 1 ]), job.name ('b', was not given), train.clip "
           "(1.5, was not given), train.lr (0.002, was 0.001)");
  CHECK(differences(before, given(job, {"train.weight_decay=0"}))
        == "train.weight_decay (not given, was 0)");
  CHECK(differences(before, "no TOML").empty());
  std::vector<std::string> many;
  for (int n = 0; n < 12; ++n)
    many.push_back("model.k" + std::to_string(10 + n) + "=1");
  CHECK(differences(given(job, many), before).ends_with("model.k19 (1, was not given) and 2 more"));
}
