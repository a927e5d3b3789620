// Tells the person or the program in front of a training run what happens.
#pragma once

#include "actors/job_scheduler.hpp"
#include "model/prepare.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/progress.hpp"

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>

namespace skippipe::runtime {

/// What is said of a run when it starts.
struct run_summary {
  std::string run_dir;
  std::uint32_t stages = 0, nodes = 0, microbatches = 0, microbatch_size = 0;
  std::string strategy;
  std::uint32_t skipping = 0, swapping = 0; ///< Microbatches.
  iteration_no committed = 0, last = 0;
  double makespan_s = 0, planned_s = 0; ///< By the plan; with gradient reduction.
  double relay_share = 0;               ///< Of the planned work, that of stages 1...
  double time_scale = 0;                ///< Emulated seconds per real one; 0: nothing was measured.
};
run_summary summary_of(const std::filesystem::path& run_dir, const job_config& job,
                       const scheduler::plan& plan, iteration_no committed, iteration_no last);

/// With json stdout carries only events, one object per line; else a bar on a terminal, plain lines
/// otherwise. Called from several threads.
class reporter {
public:
  explicit reporter(bool json);
  void goes_on_with(const std::string& command); ///< Once --resume RUN is added.

  void preparing(const std::string& what, double done);
  void prepared(const std::filesystem::path& dir, const model::prepare_result& result);
  void started(const run_summary& run);
  void iteration(const actors::iteration_report& report);
  void evaluation(const actors::evaluation_report& report);
  void checkpoint(iteration_no iteration, const std::string& problem);
  void stopping();
  void was_stopped(); ///< By somebody else; it is over.
  bool stopped() const;
  bool output_lost() const; ///< stdout has taken no more, from some moment on.
  void end_of_bar();
  void sample(const std::string& prompt, const std::string& text);
  void done(const std::filesystem::path& checkpoint);
  /// What `done` said, in one line, for when stdout is lost.
  std::string unheard(const std::filesystem::path& checkpoint) const;
  void note(const std::string& line); ///< To stderr, not disturbing the bar.

private:
  void say(const std::string& line); ///< A lasting line on stdout (stderr with json).
  void erase_bar();
  void draw_bar();
  std::string outcome(const std::filesystem::path& checkpoint) const;
  std::string how_to_go_on(const std::filesystem::path& checkpoint) const;

  mutable std::mutex mutex_;
  bool json_;
  bool terminal_;
  bool bar_shown_ = false;
  bool stopping_ = false;
  std::string command_ = "skippipe train";
  std::string preparing_;
  progress_view view_;
  iteration_no last_ = 0;
  iteration_no done_ = 0;
  std::chrono::steady_clock::time_point last_line_;
  double first_val_ = 0, best_val_ = 0;
  int full_validations_ = 0;
};

} // namespace skippipe::runtime
