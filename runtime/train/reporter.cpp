#include "runtime/train/reporter.hpp"

#include "runtime/cli.hpp"

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

reporter::reporter(bool json, iteration_no last)
    : json_(json), terminal_(!json && ::isatty(STDOUT_FILENO) == 1), view_(0, last), last_(last) {}

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

void reporter::started(const std::filesystem::path& run_dir, const job_config& job,
                       const scheduler::plan& plan, iteration_no committed) {
  std::lock_guard guard{mutex_};
  view_ = progress_view{committed, last_};
  done_ = committed;
  const auto m = static_cast<double>(plan.paths.size());
  std::uint32_t skipped = 0, swapped = 0;
  for (const auto& path : plan.paths) {
    skipped += path.hops.size() + 1 < plan.arrangement.size() ? 1 : 0;
    stage_id frontier = 0;
    bool swaps = false;
    for (const auto& hop : path.hops) {
      swaps |= hop.stage < frontier;
      frontier = std::max(frontier, hop.stage);
    }
    swapped += swaps ? 1 : 0;
  }
  say(format("run: %s, %zu stages on %zu nodes, %zu microbatches of %u samples per iteration",
             run_dir.c_str(), plan.arrangement.size(), plan.order.size(), plan.paths.size(),
             job.pipeline.microbatch_size));
  say(format("plan: %s, %.0f%% of the microbatches skip stages, %.0f%% swap stages",
             plan.strategy.c_str(), 100 * skipped / m, 100 * swapped / m));
  if (committed > 0)
    say(format("resumed after iteration %llu", static_cast<unsigned long long>(committed)));
}

void reporter::iteration(const actors::iteration_report& report) {
  std::lock_guard guard{mutex_};
  view_.update(report);
  done_ = report.iteration;
  if (report.skipped)
    say(format("iteration %llu: impossible gradients twice, the update was left out",
               static_cast<unsigned long long>(report.iteration)));
  if (json_) {
    print_json(
        {{"event", "iteration"},
         {"iteration", report.iteration},
         {"loss", report.loss},
         {"tokens_per_s",
          report.iteration_s > 0 ? static_cast<double>(report.tokens) / report.iteration_s : 0.0},
         {"iteration_s", report.iteration_s},
         {"plan_version", report.plan},
         {"microbatches", report.microbatches},
         {"skipped_stages", report.skipped_stages},
         {"swaps", report.swaps},
         {"grad_norm", report.grad_norm}});
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
  }
  if (json_ && full) {
    print_json({{"event", "eval"}, {"iteration", report.iteration}, {"val_loss", report.loss}});
    return;
  }
  if (json_) {
    print_json({{"event", "eval_skipped"},
                {"iteration", report.iteration},
                {"what", report.what},
                {"loss", report.loss}});
    return;
  }
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

bool reporter::stopped() const {
  std::lock_guard guard{mutex_};
  return stopping_;
}

void reporter::end_of_bar() {
  std::lock_guard guard{mutex_};
  if (std::exchange(bar_shown_, false))
    std::cout << std::endl;
}

void reporter::sample(const std::string& prompt, const std::string& text) {
  std::lock_guard guard{mutex_};
  if (json_)
    print_json({{"event", "sample"}, {"prompt", prompt}, {"text", text}});
  else
    std::cout << "\na sample of generated text:\n" << prompt << text << "\n" << std::endl;
}

void reporter::done(const std::filesystem::path& checkpoint) {
  std::lock_guard guard{mutex_};
  if (json_) {
    print_json({{"event", "done"}, {"iterations", done_}, {"checkpoint", checkpoint.string()}});
    return;
  }
  if (first_val_ > 0 && !stopping_)
    std::cout << format("validation loss: from %.4f to %.4f", first_val_, best_val_) << std::endl;
  std::cout << "done after iteration " << done_;
  if (!checkpoint.empty())
    std::cout << "; checkpoint " << checkpoint.string();
  std::cout << std::endl;
  if (stopping_ && !checkpoint.empty())
    std::cout << "to go on: skippipe train JOB.toml --resume "
              << checkpoint.parent_path().parent_path().string() << std::endl;
}

} // namespace skippipe::runtime
