// Max pooling (padded or ceil mode) and global average pooling, forward and backward.
#pragma once

#include <cstdint>

#include "kernels/exec.h"
#include "kernels/shape.h"

namespace verace::kernels {

// y[n,p,q,c] = max over the window's elements inside x (padding counts as minus infinity; a NaN in
// the window is the maximum). Ties: the first in row order wins, as in PyTorch and cuDNN's
// deterministic mode.
struct MaxPoolForward {
  PoolGeometry geometry;     // r * s <= 255
  const float* x = nullptr;  // [n, h, w, c]
  float* y = nullptr;        // [n, p, q, c], overwritten
  uint8_t* winner =
      nullptr;  // [n, p, q, c]: index r*S+s of the maximum in its window; nullptr: not kept
};

// dx[winner] += dy + dy2: overwrites dx completely (zero where nothing won), in a fixed order.
struct MaxPoolBackward {
  PoolGeometry geometry;
  const float* dy = nullptr;   // [n, p, q, c]
  const float* dy2 = nullptr;  // second contribution where the output forks; or nullptr
  const uint8_t* winner = nullptr;
  float* dx = nullptr;  // [n, h, w, c], overwritten
};

// y[n, c] = mean over h, w of x[n, h, w, c] (accumulated in double).
struct GlobalAveragePoolForward {
  Nhwc shape;
  const float* x = nullptr;  // [n, h, w, c]
  float* y = nullptr;        // [n, c], overwritten
};

// dx[n, h, w, c] = dy[n, c] / (h * w).
struct GlobalAveragePoolBackward {
  Nhwc shape;
  const float* dy = nullptr;  // [n, c]
  float* dx = nullptr;        // [n, h, w, c], overwritten
};

namespace cpu {
void max_pool_forward(const Exec&, const MaxPoolForward&);
void max_pool_backward(const Exec&, const MaxPoolBackward&);
void global_average_pool_forward(const Exec&, const GlobalAveragePoolForward&);
void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackward&);
}  // namespace cpu

namespace reference {
void max_pool_forward(const Exec&, const MaxPoolForward&);
void max_pool_backward(const Exec&, const MaxPoolBackward&);
void global_average_pool_forward(const Exec&, const GlobalAveragePoolForward&);
void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackward&);
}  // namespace reference

inline void max_pool_forward(const Exec& exec, const MaxPoolForward& args) {
  dispatch(exec, args, cpu::max_pool_forward, reference::max_pool_forward);
}
inline void max_pool_backward(const Exec& exec, const MaxPoolBackward& args) {
  dispatch(exec, args, cpu::max_pool_backward, reference::max_pool_backward);
}
inline void global_average_pool_forward(const Exec& exec, const GlobalAveragePoolForward& args) {
  dispatch(exec, args, cpu::global_average_pool_forward, reference::global_average_pool_forward);
}
inline void global_average_pool_backward(const Exec& exec, const GlobalAveragePoolBackward& args) {
  dispatch(exec, args, cpu::global_average_pool_backward, reference::global_average_pool_backward);
}

}  // namespace verace::kernels
