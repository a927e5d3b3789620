#include "runtime/daemon/worker_session.hpp"

#include "actors/protocol/codec.hpp"
#include "actors/torch_shard.hpp"
#include "actors/transport_link.hpp"
#include "actors/undelivered.hpp"
#include "model/file_io.hpp"
#include "model/shard_snapshot.hpp"
#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/files.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/job_setup.hpp"
#include "transport/sealed.hpp"

#include <cstring>
#include <future>
#include <stdexcept>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;
namespace fs = std::filesystem;

namespace {

job_config job_of(const session_open& order) {
  problem_list problems;
  auto job = parse_job(order.job, order.file, order.overrides, problems);
  if (!job)
    throw std::runtime_error(problems.text());
  job->kept_microbatches = order.microbatches;
  return std::move(*job);
}

wire_bytes chars_of(const std::vector<std::byte>& bytes) {
  const auto* first = reinterpret_cast<const char*>(bytes.data());
  return {first, first + bytes.size()};
}

} // namespace

/// To the scheduler over the control plane, to peers over the data plane.
class worker_session::net final : public link {
public:
  net(const session_open& order, worker_actor worker, coordinator_actor coordinator,
      data_plane& plane, link_receiver receiver)
      : session_(order.session), self_(order.node), worker_(std::move(worker)),
        coordinator_(std::move(coordinator)), plane_(plane) {
    auto endpoint = plane.open_session(order.session);
    if (!order.secret.empty()) {
      transport::sealed_options seal;
      seal.self = self_;
      seal.incarnation = seal.epoch = order.session;
      seal.secret.resize(order.secret.size());
      std::memcpy(seal.secret.data(), order.secret.data(), order.secret.size());
      endpoint = transport::make_sealed_endpoint(std::move(endpoint), std::move(seal));
    }
    endpoint_ = endpoint.get();
    data_ = std::make_unique<transport_link>(
        self_, std::move(endpoint), std::move(receiver),
        [this](node_id to, const wire_message& message, std::error_code why) {
          undelivered(to, message, why);
        });
    for (const auto& peer : order.peers)
      if (peer.node != self_)
        data_->connect(peer.node, order.secret.empty()
                                      ? data_plane::peer_address(peer)
                                      : transport::sealed_address(data_plane::peer_address(peer),
                                                                  order.session, order.session));
  }

  void send(node_id to, wire_message message, payload tensor) override {
    if (to == scheduler_address)
      // In the worker's name: the scheduler checks who speaks.
      caf::send_as(worker_, coordinator_,
                   session_message{session_, self_, chars_of(encode(self_, message))});
    else
      data_->send(to, std::move(message), std::move(tensor));
  }

  std::vector<link_sample> take_samples() override { return plane_.take_samples(session_); }

  /// From now on what is lost on its way is recorded there.
  void record_in(std::shared_ptr<environment> env) { env_ = std::move(env); }
  void peer_gone(node_id node) { endpoint_->disconnect(node); }
  void close() { data_->close(); }

private:
  void undelivered(node_id to, const wire_message& message, std::error_code why) {
    trace::event lost{.peer = to, .kind = trace::event_kind::lost};
    lost.why = trace::reason::peer_gone;
    if (auto* work = std::get_if<microbatch>(&message)) {
      lost.transfer = work->transfer;
      lost.iteration = work->iteration;
      lost.microbatch = work->id;
      lost.attempt = work->attempt;
      lost.step = work->step;
      lost.task = work->kind();
      lost.evaluation = work->mode == pass::evaluate;
    } else if (auto* chunk = std::get_if<gradient_chunk>(&message)) {
      lost.transfer = chunk->transfer;
      lost.iteration = chunk->iteration;
      lost.attempt = chunk->attempt;
    }
    if (const auto env = env_.lock(); env && lost.transfer != 0)
      env->record(lost);
    if (auto report = report_of(self_, to, message, why.message()))
      send(scheduler_address, std::move(*report), {});
  }

  const session_no session_;
  const node_id self_;
  std::weak_ptr<environment> env_;
  const worker_actor worker_;
  const coordinator_actor coordinator_;
  data_plane& plane_;
  transport::endpoint* endpoint_ = nullptr; ///< Of data_.
  std::unique_ptr<transport_link> data_;
};

worker_session::worker_session(const worker_host& host, session_open order, worker_actor worker,
                               coordinator_actor coordinator)
    : host_(host), order_(std::move(order)), coordinator_(std::move(coordinator)),
      job_(job_of(order_)), samples_(std::make_unique<sample_source>()) {
  job_.device = host_.config->device;
  emulated_ = std::make_shared<emulated_compute>();
  const auto& emulation = host_.config->emulation;
  const scheduler::instance ratios;
  emulated_->forward_s = emulation.compute_s / emulation.time_scale;
  emulated_->loss_s = ratios.loss_ratio * emulated_->forward_s;
  emulated_->backward_s = ratios.backward_ratio * emulated_->forward_s;
  const auto fetch = host_.asker->from(caf::actor_cast<file_source>(coordinator_));
  if (!order_.data.id.empty())
    *samples_ =
        make_samples(open_data(fetch_files(order_.data, host_.dir / "data", fetch), job_), job_);
  if (!order_.checkpoint.id.empty())
    restored_from_ = fetch_files(order_.checkpoint, host_.dir / "checkpoints", fetch);

  router_ = std::make_shared<mail_router>();
  net_ = std::make_shared<net>(order_, std::move(worker), coordinator_, *host_.data,
                               router_->receiver());
  env_ = make_environment();
  net_->record_in(env_);
  tracer_options tracing;
  tracing.env = env_;
  tracing.forward = [this](const std::vector<trace::event>& events, std::uint64_t overwritten) {
    if (!host_.config->trace)
      return;
    const auto clock = host_.scheduler_clock->at(env_->time->now_ns());
    trace_batch batch{order_.session,  order_.node,          overwritten,
                      clock.offset_ns, clock.uncertainty_ns, {}};
    batch.events.resize(events.size() * sizeof(trace::event));
    std::memcpy(batch.events.data(), events.data(), batch.events.size());
    caf::anon_send(coordinator_, std::move(batch));
  };
  tracer_ = host_.system->spawn(tracer, std::move(tracing));

  node_options options;
  options.router = router_;
  options.env = env_;
  options.make_shard = make_factory();
  const auto& profile = host_.config->profile;
  if (profile.enabled && emulation.compute_s == 0)
    options.warm_up = {profile.warmup_microbatches, profile.warmup_s};
  node_ = host_.system->spawn(actors::node, std::move(options));
  router_->set_node(node_);
}

worker_session::~worker_session() {
  auto closed = std::make_shared<std::promise<void>>();
  caf::anon_send(tracer_, closed);
  closed->get_future().wait();
  net_->close();
  caf::scoped_actor self{*host_.system};
  self->send_exit(node_, caf::exit_reason::user_shutdown);
  self->wait_for(node_);
  // What is still queued uses this session.
  for (const auto& strand : {env_->compute, env_->background}) {
    std::promise<void> passed;
    strand->submit(work_kind::other, [&] { passed.set_value(); });
    passed.get_future().wait();
  }
  router_->set_node({});
  router_->set_replica({}, {});
  std::error_code ignored;
  if (!restored_from_.empty())
    fs::remove_all(restored_from_, ignored);
}

std::shared_ptr<environment> worker_session::make_environment() {
  auto env = std::make_shared<environment>();
  env->node = order_.node;
  env->incarnation = host_.incarnation;
  env->net = net_;
  env->compute = host_.compute->make_strand();
  env->background = host_.background->make_strand();
  env->time = std::make_shared<real_clock>();
  env->ring = std::make_shared<trace::trace_ring>();
  return env;
}

shard_factory worker_session::make_factory() {
  return [this](node_id, const assign& order) {
    auto options = shard_options_of(job_, order.stage, *samples_);
    options.wire_bfloat16 = order_.wire_dtype == "bfloat16";
    options.write_snapshot = [this](const model::shard_snapshot& taken) { send_snapshot(taken); };
    if (!restored_from_.empty())
      options.restore = [this](model::shard& shard) {
        model::restore_shard(shard, model::checkpoint_reader{restored_from_});
      };
    auto shard = make_torch_shard(std::move(options));
    const auto& emulation = host_.config->emulation;
    const auto gradient_bytes = static_cast<double>(shard->gradient_view(0, 1).data.size())
                                * static_cast<double>(shard->gradient_size());
    if (emulation.sync_bytes > 0)
      host_.data->scale_gradients(static_cast<double>(emulation.sync_bytes) / gradient_bytes);
    return emulation.compute_s > 0 ? make_emulated_shard(std::move(shard), emulated_)
                                   : std::move(shard);
  };
}

void worker_session::send_snapshot(const model::shard_snapshot& taken) const {
  // A file first: what is sent has its final size, and memory for one part is enough.
  model::checkpoint_writer writer{host_.dir / "outbox", taken.iteration};
  model::write_snapshot(writer, taken);
  caf::scoped_actor self{*host_.system};
  for (const auto& name : writer.written()) {
    const model::mapped_file file{writer.folder() / name};
    const auto bytes = file.bytes();
    for (std::uint64_t offset = 0; offset < bytes.size();) {
      const auto part = bytes.subspan(
          offset, std::min<std::size_t>(host_.upload->part_bytes(), bytes.size() - offset));
      host_.upload->pace(part.size());
      snapshot_part message{order_.session, taken.iteration, name, offset, bytes.size(), {}};
      message.bytes.resize(part.size());
      std::memcpy(message.bytes.data(), part.data(), part.size());
      std::string error;
      self->request(coordinator_, std::chrono::seconds{60}, std::move(message))
          .receive([&](const answer& reply) { error = reply.error; },
                   [&](const caf::error& why) { error = plain_text(why); });
      if (!error.empty())
        throw std::runtime_error("a snapshot could not be handed over: " + error);
      offset += part.size();
    }
  }
}

void worker_session::deliver(const session_message& message) {
  auto found = decode(std::as_bytes(std::span{message.bytes}));
  if (found && found->from == scheduler_address)
    router_->deliver({scheduler_address, std::move(found->message), {}});
}

void worker_session::peer_gone(node_id node) { net_->peer_gone(node); }

} // namespace skippipe::runtime::daemon
