// Where weight gradients go: straight into the flat accumulator.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace skippipe::model {

/// A view of one parameter's accumulator: floating point, or int64 fixed point (R12).
class gradient_sink {
public:
  gradient_sink() = default;
  gradient_sink(std::string name, at::Tensor accumulator)
      : name_(std::move(name)), accumulator_(std::move(accumulator)) {}

  /// += rows^T (N, A) x columns (N, B) for a parameter of shape (A, B); no temporary where the
  /// accumulator has the operands' dtype.
  void add_product(const at::Tensor& rows, const at::Tensor& columns) const;
  /// += gradient, of the parameter's shape.
  void add(const at::Tensor& gradient) const;
  /// accumulator[tokens] += rows, for the embedding.
  void add_rows(const at::Tensor& tokens, const at::Tensor& rows) const;

private:
  std::string name_;
  at::Tensor accumulator_;
};

} // namespace skippipe::model
