#include "model/kernels.hpp"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <bit>
#include <cmath>

// One copy of each loop per instruction set, chosen when the program is loaded.
#define SKIPPIPE_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
// Loops are written as always-inline templates and instantiated inside the cloned functions.
#define SKIPPIPE_LOOP [[gnu::always_inline]] inline

namespace skippipe::model::kernels {

namespace {

/// e^x to about 2 ulp, without a branch, so that loops vectorize. Range reduction by ln 2 in two
/// parts and a polynomial of degree six (the Taylor terms, relative error 4e-8 on the interval).
SKIPPIPE_LOOP float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float n = std::nearbyint(x * 1.44269504088896341f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}
SKIPPIPE_LOOP double exponential(double x) { return std::exp(x); }

template <class T>
SKIPPIPE_LOOP statistics_t<T> wide(T x) {
  return static_cast<statistics_t<T>>(x);
}

/// Sixteen running sums, so that a float reduction vectorizes and its order is fixed.
template <class S, class Term>
SKIPPIPE_LOOP S sum_of(std::int64_t count, Term term) {
  S sums[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int j = 0; j < 16; ++j)
      sums[j] += term(i + j);
  for (; i < count; ++i)
    sums[0] += term(i);
  S total = 0;
  for (S sum : sums)
    total += sum;
  return total;
}

template <class T>
SKIPPIPE_LOOP void norm_loop(const T* x, const T* weight, T* y, statistics_t<T>* rstd,
                             std::int64_t rows, std::int64_t channels, double eps) {
  using S = statistics_t<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels) {
    const S square = sum_of<S>(channels, [&](std::int64_t c) { return wide(x[c]) * wide(x[c]); });
    const S scale = S{1} / std::sqrt(square / static_cast<S>(channels) + static_cast<S>(eps));
    rstd[r] = scale;
    for (std::int64_t c = 0; c < channels; ++c)
      y[c] = static_cast<T>(wide(static_cast<T>(wide(x[c]) * scale)) * wide(weight[c]));
  }
}

template <class T>
SKIPPIPE_LOOP void norm_again_loop(const T* x, const T* weight, const statistics_t<T>* rstd, T* y,
                                   std::int64_t rows, std::int64_t channels) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels)
    for (std::int64_t c = 0; c < channels; ++c)
      y[c] = static_cast<T>(wide(static_cast<T>(wide(x[c]) * rstd[r])) * wide(weight[c]));
}

template <class T>
SKIPPIPE_LOOP void norm_backward_loop(const T* grad, const T* x, const T* weight,
                                      const statistics_t<T>* rstd, T* input,
                                      statistics_t<T>* weight_grad, std::int64_t rows,
                                      std::int64_t channels) {
  using S = statistics_t<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += channels, grad += channels, input += channels) {
    const S scale = rstd[r];
    const S dot = sum_of<S>(
        channels, [&](std::int64_t c) { return wide(grad[c]) * wide(weight[c]) * wide(x[c]); });
    const S projection = dot * scale * scale / static_cast<S>(channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const S g = wide(grad[c]), v = wide(x[c]);
      weight_grad[c] += g * v * scale;
      input[c] = static_cast<T>((g * wide(weight[c]) - v * projection) * scale);
    }
  }
}

template <class T>
SKIPPIPE_LOOP void rotate_loop(T* x, const T* cos, const T* sin, std::int64_t rows,
                               std::int64_t time, std::int64_t heads, std::int64_t channels,
                               int sign) {
  using S = statistics_t<T>;
  const std::int64_t half = channels / 2;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* c = cos + r % time * half;
    const T* s = sin + r % time * half;
    for (std::int64_t h = 0; h < heads; ++h, x += channels)
      for (std::int64_t i = 0; i < half; ++i) {
        const S low = wide(x[i]), high = wide(x[half + i]);
        const S turn = static_cast<S>(sign) * wide(s[i]);
        x[i] = static_cast<T>(low * wide(c[i]) - high * turn);
        x[half + i] = static_cast<T>(high * wide(c[i]) + low * turn);
      }
  }
}

template <class T>
SKIPPIPE_LOOP void softmax_loop(T* scores, std::int64_t count, std::int64_t time, double scale) {
  using S = statistics_t<T>;
  const S factor = static_cast<S>(scale);
  for (std::int64_t r = 0; r < count; ++r, scores += time) {
    const std::int64_t seen = r % time + 1;
    S most = wide(scores[0]);
    for (std::int64_t i = 1; i < seen; ++i)
      most = std::max(most, wide(scores[i]));
    // The sum of what is stored: a bfloat16 row sums to one as stored, not as computed.
    for (std::int64_t i = 0; i < seen; ++i)
      scores[i] = static_cast<T>(exponential((wide(scores[i]) - most) * factor));
    const S total = sum_of<S>(seen, [&](std::int64_t i) { return wide(scores[i]); });
    const S inverse = S{1} / total;
    for (std::int64_t i = 0; i < seen; ++i)
      scores[i] = static_cast<T>(wide(scores[i]) * inverse);
    for (std::int64_t i = seen; i < time; ++i)
      scores[i] = T(0);
  }
}

template <class T>
SKIPPIPE_LOOP void softmax_backward_loop(T* grad, const T* p, std::int64_t count, std::int64_t time,
                                         double scale) {
  using S = statistics_t<T>;
  const S factor = static_cast<S>(scale);
  for (std::int64_t r = 0; r < count; ++r, grad += time, p += time) {
    const std::int64_t seen = r % time + 1;
    const S dot = sum_of<S>(seen, [&](std::int64_t i) { return wide(grad[i]) * wide(p[i]); });
    for (std::int64_t i = 0; i < seen; ++i)
      grad[i] = static_cast<T>(wide(p[i]) * (wide(grad[i]) - dot) * factor);
    for (std::int64_t i = seen; i < time; ++i)
      grad[i] = T(0);
  }
}

template <class S>
SKIPPIPE_LOOP S logistic(S x) {
  return S{1} / (S{1} + exponential(-x));
}

template <class T>
SKIPPIPE_LOOP void swiglu_loop(const T* gate, const T* up, T* out, std::int64_t count) {
  using S = statistics_t<T>;
  for (std::int64_t i = 0; i < count; ++i) {
    const S g = wide(gate[i]);
    out[i] = static_cast<T>(g * logistic<S>(g) * wide(up[i]));
  }
}

template <class T>
SKIPPIPE_LOOP void swiglu_backward_loop(const T* grad, const T* gate, const T* up, T* gate_grad,
                                        T* up_grad, std::int64_t count) {
  using S = statistics_t<T>;
  for (std::int64_t i = 0; i < count; ++i) {
    const S d = wide(grad[i]), g = wide(gate[i]), s = logistic<S>(g);
    const S u = wide(up[i]);
    gate_grad[i] = static_cast<T>(d * u * s * (S{1} + g * (S{1} - s)));
    up_grad[i] = static_cast<T>(d * g * s);
  }
}

template <class T>
SKIPPIPE_LOOP void cross_entropy_loop(T* logits, const std::int64_t* targets, T* losses,
                                      std::int64_t rows, std::int64_t vocabulary, double scale) {
  for (std::int64_t r = 0; r < rows; ++r, logits += vocabulary) {
    T most = logits[0];
    for (std::int64_t i = 1; i < vocabulary; ++i)
      most = std::max(most, logits[i]);
    const T hit = logits[targets[r]];
    if (scale == 0) {
      const T total =
          sum_of<T>(vocabulary, [&](std::int64_t i) { return exponential(logits[i] - most); });
      losses[r] = std::log(total) + most - hit;
      continue;
    }
    for (std::int64_t i = 0; i < vocabulary; ++i)
      logits[i] = exponential(logits[i] - most);
    const T total = sum_of<T>(vocabulary, [&](std::int64_t i) { return logits[i]; });
    losses[r] = std::log(total) + most - hit;
    const T factor = static_cast<T>(scale) / total;
    for (std::int64_t i = 0; i < vocabulary; ++i)
      logits[i] *= factor;
    logits[targets[r]] -= static_cast<T>(scale);
  }
}

} // namespace

#define SKIPPIPE_FOR(T)                                                                            \
  template <>                                                                                      \
  SKIPPIPE_CLONES void rms_norm<T>(const T* x, const T* weight, T* y, statistics_t<T>* rstd,       \
                                   std::int64_t rows, std::int64_t channels, double eps) {         \
    norm_loop<T>(x, weight, y, rstd, rows, channels, eps);                                         \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void rms_norm_again<T>(const T* x, const T* weight, const statistics_t<T>* rstd, \
                                         T* y, std::int64_t rows, std::int64_t channels) {         \
    norm_again_loop<T>(x, weight, rstd, y, rows, channels);                                        \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void rms_norm_backward<T>(                                                       \
      const T* grad, const T* x, const T* weight, const statistics_t<T>* rstd, T* input,           \
      statistics_t<T>* weight_grad, std::int64_t rows, std::int64_t channels) {                    \
    norm_backward_loop<T>(grad, x, weight, rstd, input, weight_grad, rows, channels);              \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void rotate<T>(T * x, const T* cos, const T* sin, std::int64_t rows,             \
                                 std::int64_t time, std::int64_t heads, std::int64_t channels,     \
                                 int sign) {                                                       \
    rotate_loop<T>(x, cos, sin, rows, time, heads, channels, sign);                                \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void causal_softmax<T>(T * scores, std::int64_t count, std::int64_t time,        \
                                         double scale) {                                           \
    softmax_loop<T>(scores, count, time, scale);                                                   \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void softmax_backward<T>(T * grad, const T* p, std::int64_t count,               \
                                           std::int64_t time, double scale) {                      \
    softmax_backward_loop<T>(grad, p, count, time, scale);                                         \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void swiglu<T>(const T* gate, const T* up, T* out, std::int64_t count) {         \
    swiglu_loop<T>(gate, up, out, count);                                                          \
  }                                                                                                \
  template <>                                                                                      \
  SKIPPIPE_CLONES void swiglu_backward<T>(const T* grad, const T* gate, const T* up, T* gate_grad, \
                                          T* up_grad, std::int64_t count) {                        \
    swiglu_backward_loop<T>(grad, gate, up, gate_grad, up_grad, count);                            \
  }

SKIPPIPE_FOR(float)
SKIPPIPE_FOR(double)
SKIPPIPE_FOR(c10::BFloat16)

template <>
SKIPPIPE_CLONES void cross_entropy<float>(float* logits, const std::int64_t* targets, float* losses,
                                          std::int64_t rows, std::int64_t vocabulary,
                                          double scale) {
  cross_entropy_loop<float>(logits, targets, losses, rows, vocabulary, scale);
}
template <>
SKIPPIPE_CLONES void cross_entropy<double>(double* logits, const std::int64_t* targets,
                                           double* losses, std::int64_t rows,
                                           std::int64_t vocabulary, double scale) {
  cross_entropy_loop<double>(logits, targets, losses, rows, vocabulary, scale);
}

} // namespace skippipe::model::kernels
