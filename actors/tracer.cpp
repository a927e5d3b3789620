#include "actors/tracer.hpp"

#include <vector>

namespace skippipe::actors {

/// Lives on the background executor only, after construction.
class trace_sink {
public:
  explicit trace_sink(const tracer_options& options)
      : file_(options.file), segment_(options.segment), forward_(options.forward) {}

  void drain(trace::trace_ring& ring) {
    // A trace that cannot be written must not stop training; the next call tries again.
    if (!forward_ && !open_ && writer_.open(file_, segment_))
      return;
    open_ = true;
    ring.drain(events_);
    if (!events_.empty() && forward_)
      forward_(events_, ring.overwritten());
    else if (!events_.empty())
      writer_.append(events_, ring.overwritten()); // Counts what it cannot write as lost.
    events_.clear();
  }

  void close() { writer_.close(); }

private:
  trace::file_options file_;
  trace::segment_info segment_;
  std::function<void(const std::vector<trace::event>&, std::uint64_t)> forward_;
  trace::file_writer writer_;
  bool open_ = false;
  std::vector<trace::event> events_;
};

tracer_actor::behavior_type tracer(tracer_actor::stateful_pointer<tracer_state> self,
                                   tracer_options options) {
  self->state.sink = std::make_shared<trace_sink>(options);
  self->state.env = options.env;
  self->send(self, caf::tick_atom::value);
  return {
      [self, every = options.every](caf::tick_atom) {
        auto& state = self->state;
        state.env->background->submit(
            work_kind::other, [sink = state.sink, env = state.env] { sink->drain(*env->ring); });
        self->delayed_send(self, every, caf::tick_atom::value);
      },
      [self](const std::shared_ptr<std::promise<void>>& closed) {
        auto& state = self->state;
        state.env->background->submit(work_kind::other,
                                      [sink = state.sink, env = state.env, closed] {
                                        sink->drain(*env->ring);
                                        sink->close();
                                        closed->set_value();
                                      });
        self->quit();
      },
  };
}

} // namespace skippipe::actors
