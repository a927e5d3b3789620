#include "runtime/daemon/coordinator.hpp"

#include "runtime/train/events.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::runtime::daemon {

using actors::work_kind;
using nlohmann::json;

namespace {

std::string other_version(std::uint32_t version) {
  return "it speaks version " + std::to_string(version) + " of the protocol, this cluster "
         + std::to_string(protocol_version) + "; install the same release on both";
}

/// A promise belongs to its actor's turn.
template <class Promise, class T>
void answer_in_turn(const local_coordinator_actor& me, Promise promise, T value) {
  caf::anon_send(me, errand{[promise, value = std::move(value)]() mutable {
                   promise.deliver(std::move(value));
                 }});
}

} // namespace

void coordinator_state::start(local_coordinator_actor::pointer me, coordinator_options given) {
  self = me;
  options = std::move(given);
  files = options.background->make_strand();
  uploads = options.background->make_strand();
  book = std::make_shared<profile_book>();
  feed = std::make_shared<trace_feed>([this, me = caf::actor_cast<caf::actor_addr>(self)] {
    if (auto there = caf::actor_cast<local_coordinator_actor>(me))
      caf::anon_send(there, errand{[this] { answer_watchers(); }});
  });
  copies = std::make_shared<copy_keeper>(make_copy_host());
  book_ = std::make_unique<job_book>(options.journal / "jobs");
  std::vector<std::string> problems;
  jobs_ = book_->load(problems);
  for (const auto& problem : problems)
    options.log(problem);
  for (auto& job : jobs_)
    if (job.state == job_state::running) {
      // The scheduler has died over it: it goes on by itself, if possible on the same nodes.
      options.log("job '" + job.id + "' goes on when its nodes are here");
      job.state = job_state::queued;
      patience_until_ns_ =
          now_ns() + static_cast<std::int64_t>(1e9 * (10 + 3 * options.detect_within_s));
    }
  start_next();
}

// -- members ---------------------------------------------------------------------

/// Once for each reason.
void coordinator_state::note_refusal(const std::string& whom, const std::string& why) {
  if (refusals_.size() > 1000)
    refusals_.clear(); // Whoever makes up names must not fill the memory.
  if (std::exchange(refusals_[whom], why) != why)
    options.log("refused '" + whom + "': " + why);
}

answer coordinator_state::greet(const seed_request& wanted, const caf::strong_actor_ptr& sender) {
  if (wanted.version == protocol_version)
    return {};
  const auto why = other_version(wanted.version);
  const auto holder = sender ? options.certificate_name(sender->node()) : std::string{};
  note_refusal(holder.empty() ? "a program without a certificate" : holder, why);
  return {refused_entry, why};
}

/// `from`: its worker, or who asks for it.
std::string coordinator_state::refuse(const join_request& wanted, const caf::strong_actor_ptr& from,
                                      bool& permanent) const {
  permanent = true;
  if (wanted.version != protocol_version)
    return other_version(wanted.version);
  if (!from)
    return "it brings no worker"; // R8
  if (wanted.cluster != options.cluster)
    return "it asks for the cluster '" + wanted.cluster + "', this is '" + options.cluster
           + "'; correct node.cluster or node.seeds";
  if (wanted.wire_dtype != options.wire_dtype || wanted.sealed != options.sealed)
    return "its data_plane says wire_dtype = '" + wanted.wire_dtype
           + "', sealed = " + (wanted.sealed ? "true" : "false") + ", the scheduler's '"
           + options.wire_dtype + "', " + (options.sealed ? "true" : "false") + "; make them equal";
  for (const auto& [name, who] : members_)
    if (who.is_there() && name != wanted.name && who.info.backend != wanted.backend)
      return "its data_plane.backend is '" + wanted.backend + "', that of '" + name + "' is '"
             + who.info.backend + "'; make them equal";
  const auto known = members_.find(wanted.name);
  if (known != members_.end() && known->second.is_there()) {
    permanent = false; // Its earlier life may not have been missed yet.
    return "a node called '" + wanted.name + "' is a member already, at "
           + known->second.info.control + " with process " + std::to_string(known->second.info.pid)
           + "; give this one another node.name";
  }
  const auto seen = lives_.find(wanted.name);
  if (!wanted.only_asks && seen != lives_.end() && wanted.incarnation <= seen->second)
    return "its incarnation " + std::to_string(wanted.incarnation)
           + " has been seen before; restart it";
  // Whoever holds a node's key is that node, and no other.
  const auto holder = options.certificate_name(from->node());
  if (!holder.empty() && holder != wanted.name)
    return "it calls itself '" + wanted.name + "', its certificate says '" + holder + "'";
  return admit(wanted, permanent);
}

/// The last question, as it uses up a token.
std::string coordinator_state::admit(const join_request& wanted, bool& permanent) const {
  if (!options.admit || wanted.name == options.name)
    return {};
  try {
    return options.admit(wanted.name, wanted.token, wanted.only_asks);
  } catch (const std::exception& problem) {
    permanent = false;
    return std::string{"the scheduler cannot look at its tokens: "} + problem.what();
  }
}

join_answer coordinator_state::join(join_request& wanted, const caf::strong_actor_ptr& sender) {
  join_answer reply;
  reply.term = options.term;
  reply.control = options.control();
  reply.refusal = refuse(
      wanted, wanted.only_asks ? sender : caf::actor_cast<caf::strong_actor_ptr>(wanted.worker),
      reply.permanent);
  if (wanted.only_asks)
    return reply;
  if (!reply.refusal.empty()) {
    note_refusal(wanted.name, reply.refusal);
    return reply;
  }
  refusals_.erase(wanted.name);
  lives_[wanted.name] = wanted.incarnation;
  joined_ns_ = now_ns();
  self->monitor(wanted.worker);
  const auto name = wanted.name;
  auto& who = members_[name] = member{};
  who.info = std::move(wanted);
  options.log("node '" + name + "' joined from " + who.info.control);
  if (const auto pem = options.revoked(); !pem.empty())
    self->send(who.info.worker, revocation_list{pem});
  offer_nodes(false);
  copies->joined();
  return reply;
}

void coordinator_state::lose(member& who, member_state state, const std::string& reason) {
  const auto name = who.info.name;
  who.state = state;
  who.reason = reason;
  who.stage.reset();
  book->forget(who.info.life);
  self->demonitor(who.info.worker.address());
  who.info.worker = nullptr;
  if (running)
    running->lost(name, reason);
  copies->lost(name);
  try_closed();
}

void coordinator_state::down(const caf::down_msg& why) {
  for (auto& [name, who] : members_) {
    if (!who.is_there() || !who.info.worker || who.info.worker.address() != why.source)
      continue;
    const auto reason = who.state == member_state::draining ? "drained"
                        : why.reason == caf::exit_reason::remote_link_unreachable
                            ? "its connection ended"
                        : why.reason == caf::exit_reason::user_shutdown ? "its daemon was stopped"
                                                                        : "its daemon has failed";
    options.log("node '" + name + "' is gone: " + reason);
    return lose(who,
                who.state == member_state::draining ? member_state::left : member_state::failed,
                reason);
  }
  for (auto& [job, past] : histories_)
    std::erase_if(past.followers,
                  [&](const follower_actor& one) { return one.address() == why.source; });
  forget_watcher(why.source);
}

local_coordinator_actor::behavior_type
coordinator(local_coordinator_actor::stateful_pointer<coordinator_state> self,
            coordinator_options options) {
  self->set_down_handler([self](caf::down_msg& why) { self->state.down(why); });
  self->state.start(self, std::move(options));
  return {
      [self](join_request& wanted) { return self->state.join(wanted, self->current_sender()); },
      [self](const seed_request& wanted) {
        return self->state.greet(wanted, self->current_sender());
      },
      [self](const clock_request& wanted) {
        return self->state.tell_clock(wanted, self->current_sender());
      },
      [self](const leave_request& wanted) { return self->state.leave(wanted); },
      [self](const revocation_list& list) { self->state.revoke(list.pem); },
      [self](const probe_opened& report) {
        if (self->state.running)
          self->state.running->probed(report, self->current_sender());
      },
      [self](const probe_result& report) {
        if (self->state.running)
          self->state.running->probed(report, self->current_sender());
      },
      [self](const session_opened& report) {
        if (self->state.running)
          self->state.running->opened(report);
      },
      [self](const session_closed& report) {
        if (self->state.running)
          self->state.running->closed(report);
      },
      [self](const session_message& message) {
        if (self->state.running)
          self->state.running->deliver(message, self->current_sender());
      },
      [self](const snapshot_part& part) -> caf::result<answer> {
        auto promise = self->make_response_promise<answer>();
        if (!self->state.running) {
          promise.deliver(answer{"", "no job runs"});
          return promise;
        }
        self->state.running->receive(
            part, [promise, me = local_coordinator_actor{self}](std::string problem) {
              answer_in_turn(me, promise, answer{"", std::move(problem)});
            });
        return promise;
      },
      [self](const copy_report& report) { self->state.take(report); },
      [self](const trace_batch& batch) {
        if (self->state.running)
          self->state.running->keep(batch);
      },
      [self](const file_part_request& wanted) -> caf::result<file_part> {
        auto promise = self->make_response_promise<file_part>();
        self->state.files->submit(work_kind::other, [shelf = &self->state.shelf, wanted, promise,
                                                     me = local_coordinator_actor{self},
                                                     upload = self->state.options.upload] {
          auto part = shelf->read(wanted, upload->part_bytes());
          upload->pace(part.bytes.size());
          answer_in_turn(me, promise, std::move(part));
        });
        return promise;
      },
      [self](const trace_list_request& wanted) -> caf::result<trace_listing> {
        auto promise = self->make_response_promise<trace_listing>();
        self->state.list_trace(wanted,
                               [promise, me = local_coordinator_actor{self}](trace_listing found) {
                                 answer_in_turn(me, promise, std::move(found));
                               });
        return promise;
      },
      [self](const trace_part_request& wanted) -> caf::result<trace_part> {
        auto promise = self->make_response_promise<trace_part>();
        self->state.read_trace(wanted,
                               [promise, me = local_coordinator_actor{self}](trace_part part) {
                                 answer_in_turn(me, promise, std::move(part));
                               });
        return promise;
      },
      [self](const trace_pull& wanted) { return self->state.pull_trace(wanted); },
      [self](submit_request& request) { return self->state.submit(request); },
      [self](const follow_request& request) { return self->state.follow(request); },
      [self](const command& wanted) {
        return self->state.run_command(wanted, self->current_sender());
      },
      [self](const errand& task) { task.run(); },
      [self](caf::close_atom) { self->state.close(); },
      [self](caf::update_atom) { self->state.spread_revocations(); },
  };
}

} // namespace skippipe::runtime::daemon
