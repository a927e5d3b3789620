// Whether LibTorch can compute where a configuration says.
#pragma once

#include <string>

namespace skippipe::model {

/// Why tensors cannot live on `device` ("cpu", "cuda", "cuda:N") of this machine; empty where they can.
std::string device_obstacle(const std::string& device);

} // namespace skippipe::model
