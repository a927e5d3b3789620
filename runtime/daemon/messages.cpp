#include "runtime/daemon/messages.hpp"

namespace skippipe::runtime::daemon {

void register_messages(caf::actor_system_config& config) {
  config.add_message_type<file_part_request>("skippipe.file_part_request")
      .add_message_type<file_part>("skippipe.file_part")
      .add_message_type<copy_order>("skippipe.copy_order")
      .add_message_type<copy_report>("skippipe.copy_report")
      .add_message_type<probe_open>("skippipe.probe_open")
      .add_message_type<probe_opened>("skippipe.probe_opened")
      .add_message_type<probe_pair>("skippipe.probe_pair")
      .add_message_type<probe_result>("skippipe.probe_result")
      .add_message_type<probe_close>("skippipe.probe_close")
      .add_message_type<session_open>("skippipe.session_open")
      .add_message_type<session_opened>("skippipe.session_opened")
      .add_message_type<session_message>("skippipe.session_message")
      .add_message_type<session_peer_gone>("skippipe.session_peer_gone")
      .add_message_type<session_close>("skippipe.session_close")
      .add_message_type<session_closed>("skippipe.session_closed")
      .add_message_type<dismissal>("skippipe.dismissal")
      .add_message_type<revocation_list>("skippipe.revocation_list")
      .add_message_type<snapshot_part>("skippipe.snapshot_part")
      .add_message_type<trace_batch>("skippipe.trace_batch")
      .add_message_type<join_request>("skippipe.join_request")
      .add_message_type<join_answer>("skippipe.join_answer")
      .add_message_type<seed_request>("skippipe.seed_request")
      .add_message_type<clock_request>("skippipe.clock_request")
      .add_message_type<clock_answer>("skippipe.clock_answer")
      .add_message_type<leave_request>("skippipe.leave_request")
      .add_message_type<submit_request>("skippipe.submit_request")
      .add_message_type<follow_request>("skippipe.follow_request")
      .add_message_type<command>("skippipe.command")
      .add_message_type<answer>("skippipe.answer")
      .add_message_type<trace_list_request>("skippipe.trace_list_request")
      .add_message_type<trace_listing>("skippipe.trace_listing")
      .add_message_type<trace_part_request>("skippipe.trace_part_request")
      .add_message_type<trace_part>("skippipe.trace_part")
      .add_message_type<trace_pull>("skippipe.trace_pull")
      .add_message_type<trace_events>("skippipe.trace_events");
}

} // namespace skippipe::runtime::daemon
