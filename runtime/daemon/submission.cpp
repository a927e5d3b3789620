#include "runtime/daemon/submission.hpp"

#include "model/file_io.hpp"
#include "runtime/command_error.hpp"
#include "runtime/output.hpp"
#include "runtime/train/events.hpp"
#include "runtime/train/go_on.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/stop_signal.hpp"

#include <atomic>
#include <csignal>
#include <iostream>

namespace skippipe::runtime::daemon {

using nlohmann::json;

namespace {

/// Shows events until the job ends or until it is left alone: by Ctrl-C, or (`detach`) as soon as the
/// cluster has the data that we send.
class viewer {
public:
  viewer(bool json, bool detach, bool sends_data)
      : report_(json), json_(json), leaving_(detach), sends_data_(sends_data) {
    std::signal(SIGPIPE, SIG_IGN); // Nobody reads any more: noticed by what cannot be written.
  }

  reporter& report() { return report_; }

  void show(const json& event, client& cluster) {
    const auto what = event.value("event", "");
    if (what == "submitted") {
      job_ = event.value("job", "");
      if (!json_)
        report_.note("job " + job_ + " submitted to " + cluster.where());
    }
    if (what == "data_received" || what == "started")
      sends_data_ = false;
    if (leaving_ && !sends_data_)
      cluster.stop_following();
    if (what == "failed")
      failure_ = event.value("reason", "");
    if (json_)
      print_json(event);
    else
      events::tell(event, report_);
    if (report_.output_lost()) { // Nobody reads any more; the job needs nobody who does.
      leaving_ = true;
      if (!sends_data_)
        cluster.stop_following();
    }
  }

  /// Any thread.
  void leave(client& cluster) {
    leaving_ = true;
    if (sends_data_)
      std::cerr
          << "leaving as soon as the cluster has the job's data; Ctrl-C again leaves at once, and "
             "the job fails\n";
    else
      cluster.stop_following();
  }

  /// The exit code once following has ended. `at`: the words that say which cluster.
  int finish(bool ended, const std::string& at) {
    if (!failure_.empty())
      throw command_error("job " + job_ + " failed: " + failure_);
    const auto left = ended ? "job " + job_ + " has ended; skippipe jobs" + at + " says how"
                            : "job " + job_ + " goes on; skippipe attach " + job_ + at
                                  + " follows it again, skippipe stop " + job_ + at + " ends it";
    if (report_.output_lost())
      throw command_error(output_problem() + "; " + left);
    if (!ended) {
      report_.end_of_bar();
      std::cerr << left << '\n';
    }
    return 0;
  }

private:
  reporter report_;
  bool json_;
  std::atomic<bool> leaving_;
  std::atomic<bool> sends_data_; ///< To a cluster that may not have it yet.
  std::string job_, failure_;
};

/// The words that say which cluster, and how it is spoken to.
std::string words_of(const cluster_words& where, const client& cluster) {
  return " --cluster " + shell_word(cluster.where())
         + (where.keys.empty() ? "" : " --keys " + shell_word(where.keys));
}

} // namespace

int submit_job(const cluster_words& where, const submission& what) {
  stop_signal signals;
  problem_list problems;
  const auto job = load_job(what.file, what.overrides, problems);
  if (!job)
    throw as_error(problems);
  viewer view{what.json, what.detach, true};
  const auto data = ensure_data(*job, view.report());
  open_data(data, *job);

  client cluster{where};
  const auto at = words_of(where, cluster);
  view.report().goes_on_with(what.command + at);
  signals.watch([&] { view.leave(cluster); });
  submit_request request;
  request.file = what.file.filename();
  request.job = model::read_text(what.file);
  request.overrides = what.overrides;
  request.last = what.last;
  // Paths are the scheduler's; on this machine they mean what they mean here.
  if (!what.run_dir.empty())
    request.run_dir = std::filesystem::absolute(what.run_dir);
  if (!what.resume.empty())
    request.resume = std::filesystem::absolute(what.resume);
  const bool ended = cluster.submit(std::move(request), data,
                                    [&](const json& event) { view.show(event, cluster); });
  return view.finish(ended, at);
}

int attach_job(const cluster_words& where, const std::string& job, bool json_wanted) {
  stop_signal signals;
  viewer view{json_wanted, false, false};
  client cluster{where};
  const auto at = words_of(where, cluster);
  view.report().goes_on_with("with the job's file, skippipe train JOB.toml" + at);
  signals.watch([&] { view.leave(cluster); });
  const bool ended = cluster.follow(job, [&](const json& event) { view.show(event, cluster); });
  return view.finish(ended, at);
}

} // namespace skippipe::runtime::daemon
