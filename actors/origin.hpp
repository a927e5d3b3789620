// The actor that starts microbatches and collects their losses, on every stage-0 replica.
#pragma once

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"

#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace skippipe::actors {

struct origin_options {
  std::shared_ptr<environment> env;
};

struct origin_state {
  static inline constexpr const char* name = "origin";

  void begin(const iteration_begin& order);
  void collect(const loss_known& loss);
  void run_evaluation(const evaluate& order);

  stage_actor stage;
  origin_actor::pointer self = nullptr;
  origin_options options;

private:
  void start(const scheduler::path& path, iteration_no iteration, attempt_no attempt,
             plan_version plan, pass mode);
  void start_evaluations();

  losses losses_;
  std::size_t expected_ = 0;
  evaluated evaluated_;
  std::size_t evaluations_expected_ = 0;
  std::deque<scheduler::path> evaluations_waiting_;
};

origin_actor::behavior_type origin(origin_actor::stateful_pointer<origin_state> self,
                                   origin_options options);

} // namespace skippipe::actors
