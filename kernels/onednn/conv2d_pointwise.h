// Filter gradient of 1x1 convolutions: one matrix product.
#pragma once

#include <memory>

#include "kernels/conv2d.h"

namespace verace::kernels::onednn {

// 1x1 without padding: each output pixel reads one input pixel.
inline bool is_pointwise(const ConvGeometry& g) {
  return g.r == 1 && g.s == 1 && g.pad_h == 0 && g.pad_w == 0;
}

// dw[k, c] = sum over pixels of dy[pixel, k] * x[pixel, c]. For `g` with is_pointwise().
std::unique_ptr<ConvBackwardFilter> plan_pointwise_filter(const Exec& exec, const ConvGeometry& g);

}  // namespace verace::kernels::onednn
