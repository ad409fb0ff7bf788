// Element-wise operations: (leaky) ReLU, residual addition, bias gradient.
#pragma once

#include <cstdint>

#include "kernels/exec.h"

namespace verace::kernels {

// y = x > 0 ? x : slope * x. slope in [0, 1); 0 is the ReLU (formula: scalar_math.h).
struct LeakyReluForward {
  int64_t count = 0;
  const float* x = nullptr;
  float slope = 0.0f;
  float* y = nullptr;  // overwritten; may alias x
};

// dx = (dy + dy2) * (y > 0 ? 1 : slope), from the output y.
struct LeakyReluBackward {
  int64_t count = 0;
  const float* y = nullptr;
  const float* dy = nullptr;
  const float* dy2 = nullptr;  // second contribution where the output forks; or nullptr
  float slope = 0.0f;
  float* dx = nullptr;  // overwritten; may alias dy or dy2
};

// y = a + b, or relu(a + b).
struct Add {
  int64_t count = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  bool relu = false;
  float* y = nullptr;  // overwritten; may alias a or b
};

// db[c] = sum over rows of dy[rows, c], in a fixed order.
struct BiasGradient {
  int64_t rows = 0, c = 0;
  const float* dy = nullptr;
  float* db = nullptr;  // [c], by mode
  GradMode mode = GradMode::kOverwrite;
};

namespace cpu {
void leaky_relu_forward(const Exec&, const LeakyReluForward&);
void leaky_relu_backward(const Exec&, const LeakyReluBackward&);
void add(const Exec&, const Add&);
void bias_gradient(const Exec&, const BiasGradient&);
}  // namespace cpu

namespace reference {
void leaky_relu_forward(const Exec&, const LeakyReluForward&);
void leaky_relu_backward(const Exec&, const LeakyReluBackward&);
void add(const Exec&, const Add&);
void bias_gradient(const Exec&, const BiasGradient&);
}  // namespace reference

inline void leaky_relu_forward(const Exec& exec, const LeakyReluForward& args) {
  dispatch(exec, args, cpu::leaky_relu_forward, reference::leaky_relu_forward);
}
inline void leaky_relu_backward(const Exec& exec, const LeakyReluBackward& args) {
  dispatch(exec, args, cpu::leaky_relu_backward, reference::leaky_relu_backward);
}
inline void add(const Exec& exec, const Add& args) {
  dispatch(exec, args, cpu::add, reference::add);
}
inline void bias_gradient(const Exec& exec, const BiasGradient& args) {
  dispatch(exec, args, cpu::bias_gradient, reference::bias_gradient);
}

}  // namespace verace::kernels
