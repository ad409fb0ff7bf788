// What the three convolution plans share: descriptors of a geometry.
#include "kernels/onednn/conv2d_common.h"

namespace verace::kernels::onednn {

namespace {
constexpr auto kFloat = dnnl::memory::data_type::f32;
using Tag = dnnl::memory::format_tag;

// oneDNN's dimensions are logical: always n, c, h, w and k, c, r, s, whatever the layout.
ConvDescs descs(const ConvGeometry& g, Tag activations) {
  ConvDescs d;
  d.x = {{g.x.n, g.x.c, g.x.h, g.x.w}, kFloat, activations};
  d.w = {{g.k, g.x.c, g.r, g.s}, kFloat, Tag::any};
  d.y = {{g.x.n, g.k, g.p(), g.q()}, kFloat, activations};
  d.stride = {g.stride_h, g.stride_w};
  d.pad = {g.pad_h, g.pad_w};
  return d;
}

}  // namespace

ConvDescs conv_descs(const ConvGeometry& g, bool bias) {
  ConvDescs d = descs(g, Tag::nhwc);
  if (bias) d.bias = {{g.k}, kFloat, Tag::x};
  return d;
}

ConvDescs free_descs(const ConvGeometry& g) { return descs(g, Tag::any); }

dnnl::memory::desc canonical_weights(const ConvGeometry& g) {
  return {{g.k, g.x.c, g.r, g.s}, kFloat, Tag::ohwi};
}

}  // namespace verace::kernels::onednn
