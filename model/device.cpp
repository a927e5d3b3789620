#include "model/device.hpp"

#include <ATen/Context.h>
#include <c10/core/Device.h>
#include <c10/util/Exception.h>

namespace skippipe::model {

std::string device_obstacle(const std::string& device) {
  try {
    const c10::Device wanted{device};
    if (wanted.is_cpu())
      return {};
    if (!wanted.is_cuda())
      return "expected 'cpu' or 'cuda:N'";
    const auto count = at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
    if (count == 0)
      return "LibTorch finds no CUDA device here; choose 'cpu'";
    if (wanted.has_index() && wanted.index() >= count)
      return "LibTorch finds " + std::to_string(count) + " CUDA devices here, counted from 0";
    return {};
  } catch (const c10::Error&) {
    return "expected 'cpu' or 'cuda:N'";
  }
}

} // namespace skippipe::model
