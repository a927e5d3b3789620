#include "runtime/train/reporter.hpp"

#include "runtime/counted.hpp"
#include "runtime/output.hpp"
#include "runtime/terminal.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/go_on.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <iostream>

namespace skippipe::runtime {

namespace {

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col - 1u
                                                                            : 79u;
}

template <class... Ts>
std::string format(const char* pattern, Ts... values) {
  char text[400];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

} // namespace

reporter::reporter(bool json)
    : json_(json), terminal_(!json && redraws(STDOUT_FILENO)), view_(0, 0) {}

void reporter::goes_on_with(const std::string& command) {
  std::lock_guard guard{mutex_};
  command_ = command;
}

void reporter::erase_bar() {
  if (std::exchange(bar_shown_, false))
    std::cout << "\r\033[K" << std::flush;
}

void reporter::draw_bar() {
  std::cout << "\r\033[K" << view_.bar(terminal_width()) << std::flush;
  bar_shown_ = true;
}

void reporter::say(const std::string& line) {
  erase_bar();
  (json_ ? std::cerr : std::cout) << line << std::endl;
}

void reporter::note(const std::string& line) {
  std::lock_guard guard{mutex_};
  erase_bar();
  std::cerr << line << std::endl;
}

void reporter::preparing(const std::string& what, double done) {
  std::lock_guard guard{mutex_};
  if (terminal_) {
    std::cout << "\r\033[K"
              << "preparing data: " << what << (done > 0 ? format(" %.0f%%", 100 * done) : "")
              << std::flush;
    bar_shown_ = true;
  } else if (std::exchange(preparing_, what) != what) {
    say("preparing data: " + what);
  }
}

void reporter::prepared(const std::filesystem::path& dir, const model::prepare_result& result) {
  std::lock_guard guard{mutex_};
  say(format("data: %s, %.1f M training and %.2f M validation tokens%s", dir.c_str(),
             1e-6 * static_cast<double>(result.train_tokens),
             1e-6 * static_cast<double>(result.validation_tokens),
             result.reused ? "" : " (prepared now)"));
}

run_summary summary_of(const std::filesystem::path& run_dir, const job_config& job,
                       const scheduler::plan& plan, iteration_no committed, iteration_no last) {
  run_summary run;
  run.run_dir = run_dir.string();
  run.stages = static_cast<std::uint32_t>(plan.arrangement.size());
  run.nodes = static_cast<std::uint32_t>(plan.order.size());
  run.microbatches = static_cast<std::uint32_t>(plan.paths.size());
  run.microbatch_size = job.pipeline.microbatch_size;
  run.strategy = plan.strategy;
  run.committed = committed;
  run.last = last;
  for (const auto& path : plan.paths) {
    run.skipping += path.hops.size() + 1 < plan.arrangement.size() ? 1 : 0;
    stage_id frontier = 0;
    bool swaps = false;
    for (const auto& hop : path.hops) {
      swaps |= hop.stage < frontier;
      frontier = std::max(frontier, hop.stage);
    }
    run.swapping += swaps ? 1 : 0;
  }
  return run;
}

void reporter::started(const run_summary& run) {
  std::lock_guard guard{mutex_};
  last_ = run.last;
  const bool emulated = run.time_scale > 0 && run.time_scale != 1;
  view_ = progress_view{run.committed, last_, emulated ? run.time_scale : 1};
  done_ = run.committed;
  const auto m = static_cast<double>(run.microbatches);
  say("run: " + run.run_dir + ", " + counted(run.stages, "stage") + " on "
      + counted(run.nodes, "node") + ", " + counted(run.microbatches, "microbatch") + " of "
      + counted(run.microbatch_size, "sample") + " per iteration");
  say(format("plan: %s, %.0f%% of the microbatches skip stages, %.0f%% swap stages",
             run.strategy.c_str(), 100 * run.skipping / m, 100 * run.swapping / m));
  if (emulated)
    say(format(
        "emulated: %g s pass in a real second; tokens/s are of emulated time, the ETA is real",
        run.time_scale));
  if (run.committed > 0)
    say(format("resumed after iteration %llu", static_cast<unsigned long long>(run.committed)));
}

void reporter::iteration(const actors::iteration_report& report) {
  std::lock_guard guard{mutex_};
  view_.update(report);
  done_ = report.iteration;
  if (report.skipped)
    say(format("iteration %llu: impossible gradients twice, the update was left out",
               static_cast<unsigned long long>(report.iteration)));
  if (json_) {
    print_json(events::iteration(report));
    return;
  }
  if (terminal_)
    return draw_bar();
  // Plain lines: the first, the last and one every few seconds.
  const auto now = std::chrono::steady_clock::now();
  if (now - last_line_ >= std::chrono::seconds{5} || report.iteration == last_) {
    last_line_ = now;
    std::cout << view_.line() << std::endl;
  }
}

void reporter::evaluation(const actors::evaluation_report& report) {
  std::lock_guard guard{mutex_};
  const bool full = report.what == "full";
  if (full) {
    if (first_val_ == 0)
      first_val_ = report.loss;
    best_val_ = report.loss;
    ++full_validations_;
  }
  if (json_)
    return print_json(events::evaluation(report));
  say(format("validation after %llu: %s: loss %.4f, perplexity %.2f",
             static_cast<unsigned long long>(report.iteration),
             full ? "full model" : report.what.c_str(), report.loss, std::exp(report.loss)));
}

void reporter::checkpoint(iteration_no iteration, const std::string& problem) {
  if (!problem.empty())
    note("skippipe: the checkpoint of iteration " + std::to_string(iteration)
         + " was not written: " + problem);
}

void reporter::stopping() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  note("stopping: the running iteration is finished and a checkpoint written (again: at once)");
}

void reporter::was_stopped() {
  std::lock_guard guard{mutex_};
  stopping_ = true;
}

bool reporter::stopped() const {
  std::lock_guard guard{mutex_};
  return stopping_;
}

bool reporter::output_lost() const {
  std::lock_guard guard{mutex_};
  return !std::cout;
}

void reporter::end_of_bar() {
  std::lock_guard guard{mutex_};
  if (std::exchange(bar_shown_, false))
    std::cout << std::endl;
}

void reporter::sample(const std::string& prompt, const std::string& text) {
  std::lock_guard guard{mutex_};
  if (json_)
    print_json(events::sample(prompt, text));
  else
    std::cout << "\na sample of generated text:\n" << prompt << text << "\n" << std::endl;
}

void reporter::done(const std::filesystem::path& checkpoint) {
  std::lock_guard guard{mutex_};
  if (json_) {
    print_json(events::done(done_, checkpoint.string(), stopping_));
    return;
  }
  if (full_validations_ > 1 && !stopping_)
    std::cout << format("validation loss: from %.4f to %.4f", first_val_, best_val_) << std::endl;
  std::cout << outcome(checkpoint) << std::endl;
  if (stopping_ && !checkpoint.empty())
    std::cout << how_to_go_on(checkpoint) << std::endl;
}

std::string reporter::unheard(const std::filesystem::path& checkpoint) const {
  std::lock_guard guard{mutex_};
  return outcome(checkpoint)
         + (done_ < last_ && !checkpoint.empty() ? "; " + how_to_go_on(checkpoint) : "");
}

std::string reporter::how_to_go_on(const std::filesystem::path& checkpoint) const {
  return "to go on: " + command_ + " --resume "
         + shell_word(checkpoint.parent_path().parent_path().string());
}

std::string reporter::outcome(const std::filesystem::path& checkpoint) const {
  if (stopping_ && done_ == 0 && checkpoint.empty())
    return "stopped before its first iteration ended";
  return "done after iteration " + std::to_string(done_)
         + (checkpoint.empty() ? "" : "; checkpoint " + checkpoint.string());
}

} // namespace skippipe::runtime
