#include "runtime/daemon/worker.hpp"

#include <exception>
#include <utility>

namespace skippipe::runtime::daemon {

using actors::work_kind;

void worker_state::open(session_open& order) {
  close();
  if (!coordinator)
    return;
  wanted = order.session;
  node = order.node;
  options.desk->submit(work_kind::other, [host = options.host, order = std::move(order),
                                          from = coordinator, me = local_worker_actor{self},
                                          state = this]() mutable {
    const auto number = order.session;
    std::shared_ptr<worker_session> made;
    std::string error;
    try {
      made = std::make_shared<worker_session>(host, std::move(order), me, from);
    } catch (const std::exception& problem) {
      error = problem.what();
    }
    // The state lives as long as the actor, which runs this.
    caf::anon_send(me, errand{[state, number, made = std::move(made), error]() mutable {
                     state->opened(number, std::move(made), error);
                   }});
  });
}

void worker_state::opened(session_no number, std::shared_ptr<worker_session> made,
                          const std::string& error) {
  if (number != wanted || !coordinator) {
    // Another order came meanwhile.
    options.desk->submit(work_kind::other, [made = std::move(made)]() mutable { made.reset(); });
    return;
  }
  session = std::move(made);
  if (!error.empty()) {
    options.log("cannot take part in a job: " + error);
    wanted = 0;
  }
  self->send(coordinator, session_opened{number, node, error});
}

void worker_state::deliver(const session_message& message) {
  if (session && message.session == session->number())
    session->deliver(message);
}

void worker_state::close() {
  wanted = 0;
  if (auto old = std::exchange(session, nullptr))
    options.desk->submit(work_kind::other, [old = std::move(old), to = coordinator, node = node,
                                            me = worker_actor{self}]() mutable {
      session_closed report{old->number(), node, old->emulated().tasks, old->emulated().overruns};
      old.reset();
      if (to)
        caf::send_as(me, to, report);
    });
}

void worker_state::take_copy(const copy_order& order) {
  if (!coordinator)
    return;
  options.copying->submit(work_kind::other, [shelf = copies, order, to = coordinator,
                                             me = worker_actor{self}, host = options.host] {
    std::string problem;
    try {
      shelf->take(order, host.asker->from(caf::actor_cast<file_source>(to)));
    } catch (const std::exception& why) {
      problem = why.what();
    }
    if (!order.files.id.empty())
      caf::send_as(me, to, copy_report{order.job, order.files.id, problem});
  });
}

caf::result<file_part> worker_state::read_copy(const file_part_request& wanted) {
  auto promise = self->make_response_promise<file_part>();
  options.copying->submit(work_kind::other,
                          [shelf = copies, wanted, promise, me = local_worker_actor{self},
                           upload = options.host.upload]() mutable {
                            auto part = shelf->read(wanted, upload->part_bytes());
                            upload->pace(part.bytes.size());
                            // A promise belongs to its actor's turn.
                            caf::anon_send(me, errand{[promise, part = std::move(part)]() mutable {
                                             promise.deliver(std::move(part));
                                           }});
                          });
  return promise;
}

local_worker_actor::behavior_type worker(local_worker_actor::stateful_pointer<worker_state> self,
                                         worker_options options) {
  auto& state = self->state;
  state.self = self;
  state.options = std::move(options);
  state.copies = std::make_shared<copy_shelf>(state.options.host.dir / "copies");
  return {
      [self](session_open& order) { self->state.open(order); },
      [self](const session_message& message) { self->state.deliver(message); },
      [self](const session_peer_gone& gone) {
        auto& session = self->state.session;
        if (session && session->number() == gone.session)
          session->peer_gone(gone.node);
      },
      [self](const session_close& order) {
        if (order.session == self->state.wanted)
          self->state.close();
      },
      [self](const probe_open& order) { self->state.open_probe(order); },
      [self](const probe_pair& order) { self->state.probe(order); },
      [self](const probe_close& order) {
        if (order.session == self->state.probing)
          self->state.close_probe();
      },
      [self](const dismissal& order) {
        self->state.close();
        self->state.options.on_dismissed(order.reason);
      },
      [self](const revocation_list& list) { self->state.options.revoke(list.pem); },
      [self](const copy_order& order) { self->state.take_copy(order); },
      [self](const file_part_request& wanted) { return self->state.read_copy(wanted); },
      [self](const new_coordinator& fresh) {
        self->state.close();
        self->state.close_probe();
        self->state.coordinator = fresh.handle;
        // What we know and it may not.
        if (const auto pem = self->state.options.revoked(); fresh.handle && !pem.empty())
          self->send(fresh.handle, revocation_list{pem});
      },
      [self](caf::update_atom) {
        if (self->state.coordinator)
          self->send(self->state.coordinator, revocation_list{self->state.options.revoked()});
      },
      [self](const errand& task) { task.run(); },
  };
}

} // namespace skippipe::runtime::daemon
