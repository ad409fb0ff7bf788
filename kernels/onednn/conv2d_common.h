// What the three convolution plans share: descriptors of a geometry.
#pragma once

#include "kernels/onednn/compat.h"
#include "kernels/onednn/runtime.h"
#include "kernels/shape.h"

namespace verace::kernels::onednn {

// Activations are plain NHWC: on AVX-512 the library's own choice for most of ResNet-50, and within
// a few percent of blocked layouts elsewhere. The layout of the weights is left to the library.
ConvDescs conv_descs(const ConvGeometry& g, bool bias = false);

// The same with every layout left to the library.
ConvDescs free_descs(const ConvGeometry& g);

// The weights as everybody else keeps them: [k, r, s, c].
dnnl::memory::desc canonical_weights(const ConvGeometry& g);

inline int64_t float_count(const dnnl::memory::desc& desc) {
  return static_cast<int64_t>(desc.get_size() / sizeof(float));
}

// True for the convolutions that read every stride-th pixel only: 1x1 filters with a stride.
inline bool skips_pixels(const ConvGeometry& g) {
  return g.r == 1 && g.s == 1 && g.pad_h == 0 && g.pad_w == 0 && (g.stride_h > 1 || g.stride_w > 1);
}

}  // namespace verace::kernels::onednn
