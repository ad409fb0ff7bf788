// Depthwise convolution: each channel has a 3x3 filter of its own. Forward, for inference.
//
// y[n,p,q,c] = act(bias[c] + sum_{r,s} x[n, p*stride + r - 1, q*stride + s - 1, c] * w[r,s,c]),
// zero outside x (Howard et al. 2017, arXiv 1704.04861, eq. 3). It is bound by memory: what follows
// it (the folded batch norm, the activation) is part of it.
#pragma once

#include <cstdint>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/shape.h"

namespace verace::kernels {

struct DepthwiseConv {
  Nhwc shape;          // of x
  int64_t stride = 1;  // 1 or 2, of height and width; one row and column of padding on each side
  const float* x = nullptr;     // [n, h, w, c]
  const float* w = nullptr;     // [3, 3, c]
  const float* bias = nullptr;  // [c]
  float slope = 1.0f;           // of the leaky ReLU act, [0, 1]; 0: ReLU; 1: none
  float* y = nullptr;           // [n, p, q, c], overwritten; never x

  int64_t p() const { return (shape.h - 1) / stride + 1; }
  int64_t q() const { return (shape.w - 1) / stride + 1; }
  Nhwc y_shape() const { return {shape.n, p(), q(), shape.c}; }
  int64_t flops() const { return 2 * 9 * y_shape().count(); }
};

// Throws Error(kInternal) for what is impossible.
inline void validate(const DepthwiseConv& a) {
  VERACE_CHECK(a.shape.n > 0 && a.shape.h > 0 && a.shape.w > 0 && a.shape.c > 0);
  VERACE_CHECK(a.stride == 1 || a.stride == 2);
  VERACE_CHECK(a.slope >= 0.0f && a.slope <= 1.0f);
  VERACE_CHECK(a.x != nullptr && a.w != nullptr && a.bias != nullptr && a.y != nullptr);
  VERACE_CHECK(a.x != a.y);
}

namespace cpu {
void depthwise_conv(const Exec&, const DepthwiseConv&);
}  // namespace cpu
namespace reference {
void depthwise_conv(const Exec&, const DepthwiseConv&);
}  // namespace reference
namespace cuda {
void depthwise_conv(const Exec&, const DepthwiseConv&);
}  // namespace cuda

inline void depthwise_conv(const Exec& exec, const DepthwiseConv& args) {
  dispatch(exec, args, cpu::depthwise_conv, reference::depthwise_conv,
           [](auto&... a) { cuda::depthwise_conv(a...); });
}

}  // namespace verace::kernels
