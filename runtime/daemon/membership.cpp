#include "runtime/daemon/membership.hpp"

#include "actors/clock.hpp"
#include "runtime/daemon/caf_error.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::runtime::daemon {

namespace {

std::int64_t now_ns() { return actors::real_clock{}.now_ns(); }

} // namespace

membership::membership(membership_options options)
    : options_(std::move(options)), thread_([this] { run(); }) {}

membership::~membership() {
  {
    const std::lock_guard guard{mutex_};
    ending_ = true;
    if (waiting_)
      caf::anon_send(waiting_, caf::close_atom::value);
  }
  wake_.notify_all();
  thread_.join();
}

bool membership::pause(double seconds) {
  std::unique_lock guard{mutex_};
  return !wake_.wait_for(guard, std::chrono::duration<double>{seconds}, [this] { return ending_; });
}

void membership::run() {
  double wait = 0.1;
  while (true) {
    const auto where = find();
    if (where && join(where)) {
      wait = 0.1;
      stay(where);
    }
    // Longer and longer, so that a cluster that comes back is not met by all at once.
    if (!pause(wait))
      return;
    wait = std::min(1.5 * wait, 2.0);
  }
}

coordinator_actor membership::find() {
  if (options_.local)
    return options_.local;
  std::string problem;
  for (const auto& seed : options_.seeds) {
    bool refused = false;
    if (auto found = options_.plane->connect(seed, problem, refused))
      return found;
    if (refused) {
      options_.on_refused(problem);
      return {};
    }
  }
  if (std::exchange(last_problem_, problem) != problem)
    options_.log(problem + "; trying again");
  return {};
}

bool membership::join(const coordinator_actor& where) {
  if (options_.prepare)
    if (const auto problem = options_.prepare(where, options_.introduction); !problem.empty()) {
      if (std::exchange(last_problem_, problem) != problem)
        options_.log(problem + "; trying again");
      return false;
    }
  auto request = options_.introduction;
  request.incarnation = options_.incarnation();
  {
    const std::lock_guard guard{mutex_};
    incarnation_ = request.incarnation;
  }
  // Orders may come as soon as we are in.
  caf::anon_send(options_.worker, new_coordinator{where});
  join_answer reply;
  std::string problem;
  caf::scoped_actor self{options_.plane->system()};
  self->request(where,
                std::chrono::duration_cast<caf::timespan>(
                    std::chrono::duration<double>{2 * options_.detect_within_s}),
                request)
      .receive([&](const join_answer& given) { reply = given; },
               [&](const caf::error& why) {
                 problem = "no answer to our request to join: " + plain_text(why);
                 reply.permanent = false;
               });
  if (!reply.refusal.empty())
    problem = "refused by the scheduler: " + reply.refusal;
  if (problem.empty()) {
    last_problem_.clear();
    scheduler_ = reply.control;
    return true;
  }
  caf::anon_send(options_.worker, new_coordinator{});
  if (reply.permanent)
    options_.on_refused(problem);
  else if (std::exchange(last_problem_, problem) != problem)
    options_.log(problem + "; trying again");
  return false;
}

void membership::stay(const coordinator_actor& where) {
  caf::scoped_actor self{options_.plane->system()};
  {
    const std::lock_guard guard{mutex_};
    if (ending_)
      return;
    waiting_ = self;
    current_ = where;
  }
  self->monitor(where);
  options_.on_joined(scheduler_);
  bool member = true, lost = false;
  // Often at first, for a good estimate soon; then to follow the drift.
  for (unsigned asked = 0; member; ++asked) {
    const auto begin = now_ns();
    clock_request question{asked};
    if (asked > 0) {
      const auto known = options_.clock->at(begin);
      question.name = options_.introduction.name;
      question.offset_ns = known.offset_ns;
      question.uncertainty_ns = known.uncertainty_ns;
    }
    self->request(where, std::chrono::seconds{2}, question)
        .receive(
            [&](const clock_answer& reply) { options_.clock->add(begin, reply.now_ns, now_ns()); },
            [](const caf::error&) {});
    self->receive([&](const caf::down_msg&) { lost = true, member = false; },
                  [&](caf::close_atom) { member = false; },
                  caf::after(std::chrono::milliseconds{asked < 8 ? 50 : 10'000}) >> [] {});
  }
  {
    const std::lock_guard guard{mutex_};
    waiting_ = nullptr;
    current_ = nullptr;
  }
  caf::anon_send(options_.worker, new_coordinator{});
  if (lost && !options_.local)
    options_.log("the scheduler is out of reach");
}

std::string membership::leave() {
  coordinator_actor where;
  leave_request request{options_.introduction.name};
  {
    const std::lock_guard guard{mutex_};
    where = current_;
    request.incarnation = incarnation_;
  }
  if (!where)
    return "no scheduler to ask";
  std::string problem;
  caf::scoped_actor self{options_.plane->system()};
  self->request(where, std::chrono::seconds{5}, request)
      .receive([&](const answer& reply) { problem = reply.error; },
               [&](const caf::error& why) { problem = plain_text(why); });
  return problem;
}

} // namespace skippipe::runtime::daemon
