// What a job's configuration means to the actors; the same embedded and on a cluster.
#pragma once

#include "actors/job_scheduler.hpp"
#include "actors/torch_shard.hpp"
#include "model/dataset.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/train/checkpointing.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// Takes `seconds` at most, on as many threads. Throws command_error where there is no feasible plan.
scheduler::plan plan_job(const scheduler::instance& problem, const job_config& job,
                         double seconds = 1, unsigned threads = 1);

/// As many as a plan that everyone waits for may take.
unsigned planning_threads();

/// Another plan than the running one (scheduler::plan_again): in haste where it lost a node, since then everyone
/// waits, else on one thread for as long as pays. `time_scale`: seconds of the problem that a real one stands for.
actors::adjusted_plan plan_again(const scheduler::instance& problem, const job_config& job,
                                 const scheduler::plan& running, const std::set<node_id>& gone,
                                 double time_scale);

/// What the job asks of nodes and links, as far as costs follow from sizes. `wire_bytes`: of an element of an
/// activation on its way.
scheduler::workload workload_of(const job_config& job, double wire_bytes);
/// A guess at the seconds of one stage's forward, before anything was measured.
double guessed_forward_s(const job_config& job);

/// Writes the plan with its planned times into the run folder, for traces. `time_scale`: seconds of the problem
/// that one real second stands for.
void record_plan(const std::filesystem::path& run_dir, const scheduler::instance& problem,
                 const scheduler::plan& plan, double time_scale);

actors::sample_source make_samples(std::shared_ptr<const model::dataset> data,
                                   const job_config& job);

/// The shard of `stage`, without where its snapshots go and what it restores.
actors::torch_shard_options shard_options_of(const job_config& job, stage_id stage,
                                             const actors::sample_source& samples);

/// Everything but the observer. `time_scale` as above. `checkpoints` must outlive the job.
actors::job_options make_job_options(const job_config& job, const scheduler::instance& problem,
                                     scheduler::plan plan, double time_scale,
                                     checkpointing& checkpoints, iteration_no last);
/// Plans follow measured costs from now on. `problem`: as in make_job_options, without measured costs.
void follow_costs(actors::job_options& options, const job_config& job,
                  const scheduler::instance& problem, const scheduler::workload& work,
                  const scheduler::drift_options& drift);

inline constexpr const char* sample_prompt = "The function ";

/// What the model of `checkpoint` writes after the prompt.
std::string sample_text(const job_config& job, const model::dataset& data,
                        const std::filesystem::path& checkpoint);

} // namespace skippipe::runtime
