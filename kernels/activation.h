// Element-wise operations: (leaky) ReLU, residual addition, bias and its gradient.
//
// The forms ...Of<T> hold activations of storage type T (storage.h); 16-bit ones exist on CUDA
// devices only. All arithmetic is fp32, each result is rounded once.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"
#include "kernels/storage.h"

namespace verace::kernels {

// y = x > 0 ? x : slope * x. slope in [0, 1); 0 is the ReLU (formula: scalar_math.h).
template <typename T>
struct LeakyReluForwardOf {
  int64_t count = 0;
  const T* x = nullptr;
  float slope = 0.0f;
  T* y = nullptr;  // overwritten; may alias x
};
using LeakyReluForward = LeakyReluForwardOf<float>;

// dx = (dy + dy2) * (y > 0 ? 1 : slope), from the output y.
template <typename T>
struct LeakyReluBackwardOf {
  int64_t count = 0;
  const T* y = nullptr;
  const T* dy = nullptr;
  const T* dy2 = nullptr;  // second contribution where the output forks; or nullptr
  float slope = 0.0f;
  T* dx = nullptr;  // overwritten; may alias dy or dy2
};
using LeakyReluBackward = LeakyReluBackwardOf<float>;

// y = a + b, or relu(a + b).
template <typename T>
struct AddOf {
  int64_t count = 0;
  const T* a = nullptr;
  const T* b = nullptr;
  bool relu = false;
  T* y = nullptr;  // overwritten; may alias a or b
};
using Add = AddOf<float>;

// y[rows, c] = act(x[rows, c] + bias[c]), act the leaky ReLU of `slope` in [0, 1]; 1 is no
// activation.
template <typename T>
struct BiasAddOf {
  int64_t rows = 0, c = 0;
  const T* x = nullptr;
  const float* bias = nullptr;  // [c]
  float slope = 1.0f;
  T* y = nullptr;  // overwritten; may alias x
};
using BiasAdd = BiasAddOf<float>;

// db[c] = sum over rows of dy[rows, c], in a fixed order.
template <typename T>
struct BiasGradientOf {
  int64_t rows = 0, c = 0;
  const T* dy = nullptr;
  float* db = nullptr;  // [c], by mode
  GradMode mode = GradMode::kOverwrite;
  double* scratch = nullptr;  // kCuda: bias_gradient_scratch(rows, c) doubles; else may be nullptr
};
using BiasGradient = BiasGradientOf<float>;

// The pieces of rows that are summed apart: about eight blocks of threads for each of the 132
// multiprocessors of a Hopper when 256 channels make one block wide.
inline int64_t bias_gradient_pieces(int64_t rows, int64_t c) {
  const int64_t tiles = (c + 255) / 256;
  const int64_t most = (rows + 31) / 32;  // at least 32 rows each
  const int64_t wanted = (1056 + tiles - 1) / tiles;
  return wanted < most ? wanted : most;
}
inline int64_t bias_gradient_scratch(int64_t rows, int64_t c) {
  return bias_gradient_pieces(rows, c) * c;
}

namespace cpu {
void leaky_relu_forward(const Exec&, const LeakyReluForward&);
void leaky_relu_backward(const Exec&, const LeakyReluBackward&);
void add(const Exec&, const Add&);
void bias_add(const Exec&, const BiasAdd&);
void bias_gradient(const Exec&, const BiasGradient&);
}  // namespace cpu

namespace reference {
void leaky_relu_forward(const Exec&, const LeakyReluForward&);
void leaky_relu_backward(const Exec&, const LeakyReluBackward&);
void add(const Exec&, const Add&);
void bias_add(const Exec&, const BiasAdd&);
void bias_gradient(const Exec&, const BiasGradient&);
}  // namespace reference

namespace cuda {
template <typename T>
void leaky_relu_forward(const Exec&, const LeakyReluForwardOf<T>&);
template <typename T>
void leaky_relu_backward(const Exec&, const LeakyReluBackwardOf<T>&);
template <typename T>
void add(const Exec&, const AddOf<T>&);
template <typename T>
void bias_add(const Exec&, const BiasAddOf<T>&);
template <typename T>
void bias_gradient(const Exec&, const BiasGradientOf<T>&);
}  // namespace cuda

template <typename T = float>
void leaky_relu_forward(const Exec& exec, const LeakyReluForwardOf<T>& args) {
  dispatch(exec, args, cpu::leaky_relu_forward, reference::leaky_relu_forward,
           [](auto&... a) { cuda::leaky_relu_forward(a...); });
}
template <typename T = float>
void leaky_relu_backward(const Exec& exec, const LeakyReluBackwardOf<T>& args) {
  dispatch(exec, args, cpu::leaky_relu_backward, reference::leaky_relu_backward,
           [](auto&... a) { cuda::leaky_relu_backward(a...); });
}
template <typename T = float>
void add(const Exec& exec, const AddOf<T>& args) {
  dispatch(exec, args, cpu::add, reference::add, [](auto&... a) { cuda::add(a...); });
}
template <typename T = float>
void bias_add(const Exec& exec, const BiasAddOf<T>& args) {
  dispatch(exec, args, cpu::bias_add, reference::bias_add,
           [](auto&... a) { cuda::bias_add(a...); });
}
template <typename T = float>
void bias_gradient(const Exec& exec, const BiasGradientOf<T>& args) {
  dispatch(exec, args, cpu::bias_gradient, reference::bias_gradient,
           [](auto&... a) { cuda::bias_gradient(a...); });
}

}  // namespace verace::kernels
