// Fused CPU loops for what ATen needs several passes for. Plain pointers; rows are contiguous.
#pragma once

#include <cstdint>

namespace c10 {
struct BFloat16;
}

// T: float, double or c10::BFloat16. S (statistics): float for BFloat16, else T.
namespace skippipe::model::kernels {

template <class T>
struct statistics {
  using type = T;
};
template <>
struct statistics<c10::BFloat16> {
  using type = float;
};
template <class T>
using statistics_t = typename statistics<T>::type;

/// y = x / rms(x) * weight for `rows` rows of `channels`; rstd per row.
template <class T>
void rms_norm(const T* x, const T* weight, T* y, statistics_t<T>* rstd, std::int64_t rows,
              std::int64_t channels, double eps);
/// y = x * rstd * weight.
template <class T>
void rms_norm_again(const T* x, const T* weight, const statistics_t<T>* rstd, T* y,
                    std::int64_t rows, std::int64_t channels);
/// input = the gradient of x; weight_grad (channels, zeroed by the caller) += that of weight.
template <class T>
void rms_norm_backward(const T* grad, const T* x, const T* weight, const statistics_t<T>* rstd,
                       T* input, statistics_t<T>* weight_grad, std::int64_t rows,
                       std::int64_t channels);

/// Rotates (rows, heads, channels) in place by halves; row r is at position r % time; cos and sin
/// (time, channels / 2). `sign` -1 turns back.
template <class T>
void rotate(T* x, const T* cos, const T* sin, std::int64_t rows, std::int64_t time,
            std::int64_t heads, std::int64_t channels, int sign);

/// In place: softmax of scale * scores over the causal part, zero above; `count` rows of `time`
/// whose row r is at position r % time.
template <class T>
void causal_softmax(T* scores, std::int64_t count, std::int64_t time, double scale);
/// grad becomes the gradient of the scores: p * (grad - sum(grad * p)) * scale.
template <class T>
void softmax_backward(T* grad, const T* probabilities, std::int64_t count, std::int64_t time,
                      double scale);

/// out = silu(gate) * up.
template <class T>
void swiglu(const T* gate, const T* up, T* out, std::int64_t count);
/// gate_grad and up_grad of out's gradient; `grad` may be either of them.
template <class T>
void swiglu_backward(const T* grad, const T* gate, const T* up, T* gate_grad, T* up_grad,
                     std::int64_t count);

/// Per row the cross entropy against its target; with `scale` non-zero the logits become their
/// gradient times scale.
template <class T>
void cross_entropy(T* logits, const std::int64_t* targets, T* losses, std::int64_t rows,
                   std::int64_t vocabulary, double scale);

} // namespace skippipe::model::kernels
