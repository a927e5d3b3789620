#include "actors/tensor_bridge.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

namespace skippipe::actors {

namespace {

element_type element_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return element_type::float32;
    case at::kBFloat16:
      return element_type::bfloat16;
    case at::kDouble:
      return element_type::float64;
    case at::kLong:
      return element_type::int64;
    default:
      break;
  }
  throw std::invalid_argument(std::string{"tensors of "} + at::toString(type)
                              + " cannot be sent between nodes");
}

at::ScalarType scalar_of(element_type type) {
  switch (type) {
    case element_type::float32:
      return at::kFloat;
    case element_type::bfloat16:
      return at::kBFloat16;
    case element_type::float64:
      return at::kDouble;
    case element_type::int64:
      return at::kLong;
    case element_type::none:
      break;
  }
  throw std::invalid_argument("a payload without a tensor");
}

} // namespace

payload to_payload(const at::Tensor& tensor) {
  auto held = std::make_shared<at::Tensor>(tensor.detach().to(at::kCPU).contiguous());
  payload result;
  result.desc.type = element_of(held->scalar_type());
  result.desc.shape.assign(held->sizes().begin(), held->sizes().end());
  auto* data = static_cast<std::byte*>(held->data_ptr());
  const auto bytes = static_cast<std::size_t>(held->numel()) * held->element_size();
  result.data = {std::move(held), data, bytes};
  return result;
}

at::Tensor to_tensor(const payload& tensor) {
  std::uint64_t bytes = 0;
  const auto type = scalar_of(tensor.desc.type);
  if (!tensor.desc.checked_bytes(bytes) || bytes != tensor.data.size())
    throw std::invalid_argument("a payload of " + std::to_string(tensor.data.size())
                                + " bytes does not fit its shape");
  return at::from_blob(
      tensor.data.data(), tensor.desc.shape, [owner = tensor.data.owner()](void*) {},
      at::TensorOptions{}.dtype(type));
}

} // namespace skippipe::actors
