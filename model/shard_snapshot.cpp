#include "model/shard_snapshot.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

namespace skippipe::model {

namespace {

const char* dtype_of(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? "F64" : "F32"; }

} // namespace

shard_snapshot take_snapshot(shard& from, std::uint32_t stage, std::uint64_t iteration) {
  const auto copy = [](const at::Tensor& x) {
    return x.to(at::kCPU, x.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  };
  return {iteration,
          stage,
          from.parameters(),
          copy(from.values()),
          copy(from.exp_avg()),
          copy(from.exp_avg_sq())};
}

void write_snapshot(checkpoint_writer& to, const shard_snapshot& snapshot) {
  std::vector<named_tensor> parameters, moments;
  const auto add = [](std::vector<named_tensor>& list, const std::string& name,
                      const parameter_info& info, const at::Tensor& flat) {
    const auto part = flat.narrow(0, info.offset, info.size);
    list.push_back({name,
                    dtype_of(flat),
                    info.shape,
                    {static_cast<const std::byte*>(part.data_ptr()),
                     static_cast<std::size_t>(info.size) * part.element_size()}});
  };
  for (const auto& info : snapshot.parameters) {
    add(parameters, info.name, info, snapshot.values);
    add(moments, info.name + exp_avg_suffix, info, snapshot.exp_avg);
    add(moments, info.name + exp_avg_sq_suffix, info, snapshot.exp_avg_sq);
  }
  to.write_stage(snapshot.stage, parameters, moments);
}

void restore_shard(shard& into, const checkpoint_reader& from) {
  const auto fill = [&](at::Tensor flat, const std::string& suffix) {
    for (const auto& info : into.parameters()) {
      const auto& tensor = from.tensor(info.name + suffix);
      if (tensor.dtype != dtype_of(flat) || tensor.shape != info.shape)
        throw std::runtime_error(from.folder().string() + ": " + tensor.name
                                 + " has another type or shape than the job's model");
      flat.narrow(0, info.offset, info.size)
          .copy_(at::from_blob(const_cast<std::byte*>(tensor.bytes.data()), {info.size},
                               at::TensorOptions{}.dtype(flat.scalar_type())));
    }
  };
  fill(into.values(), "");
  fill(into.exp_avg(), exp_avg_suffix);
  fill(into.exp_avg_sq(), exp_avg_sq_suffix);
  into.values_changed();
}

} // namespace skippipe::model
