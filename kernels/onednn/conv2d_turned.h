// Backward data of convolutions with stride 1, as a forward convolution.
#pragma once

#include <memory>

#include "kernels/conv2d.h"

namespace verace::kernels::onednn {

// Stride 1, and the padding of the turned convolution, r - 1 - pad, is not negative.
inline bool can_turn(const ConvGeometry& g) {
  return g.stride_h == 1 && g.stride_w == 1 && g.pad_h < g.r && g.pad_w < g.s;
}

// The matrix kernels work on one row of the image at a time: a filter over very narrow images (7x7,
// ResNet-50's last stage) is better left to the library's own backward kernel.
inline bool turning_pays(const ConvGeometry& g) { return g.r * g.s == 1 || g.x.w > 8; }

// dx is the forward convolution of dy with the filter turned by 180 degrees and its channels
// exchanged (Dumoulin & Visin, arXiv 1603.07285, relationship 9). For `g` with can_turn().
std::unique_ptr<ConvBackwardData> plan_turned(const Exec& exec, const ConvGeometry& g);

}  // namespace verace::kernels::onednn
