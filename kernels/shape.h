// Geometry: dimension letters and output sizes, defined once for all operations.
//
// n images; h, w, c height, width, channels of the input; k, r, s filters, filter height, filter
// width; p, q height and width of the output. Activations are [n, h, w, c], filters [k, r, s, c], c
// fastest.
#pragma once

#include <cstdint>

namespace verace::kernels {

struct Nhwc {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t rows() const { return n * h * w; }
  int64_t count() const { return n * h * w * c; }
  bool operator==(const Nhwc&) const = default;
};

// A 2-D cross-correlation (what frameworks call convolution) with symmetric zero padding.
struct ConvGeometry {
  Nhwc x;
  int64_t k = 0, r = 1, s = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;

  int64_t p() const { return (x.h + 2 * pad_h - r) / stride_h + 1; }
  int64_t q() const { return (x.w + 2 * pad_w - s) / stride_w + 1; }
  Nhwc y() const { return {x.n, p(), q(), k}; }
  int64_t fan_in() const { return r * s * x.c; }
  int64_t filter_count() const { return k * fan_in(); }
  // Floating-point operations of one pass (forward, data or filter gradient): 2 per multiply-add.
  int64_t flops() const { return 2 * y().count() * fan_in(); }
  bool operator==(const ConvGeometry&) const = default;
};

// Throws Error(kInternal) unless all sizes are positive and the padded input covers the filter.
void validate(const ConvGeometry& g);

// A pooling window. ceil_mode counts a last window that starts inside the input (or its left
// padding) but reaches beyond it, as Caffe and PyTorch (ceil_mode=True) do.
struct PoolGeometry {
  Nhwc x;
  int64_t r = 1, s = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;
  bool ceil_mode = false;

  int64_t p() const { return output_size(x.h, r, stride_h, pad_h); }
  int64_t q() const { return output_size(x.w, s, stride_w, pad_w); }
  Nhwc y() const { return {x.n, p(), q(), x.c}; }
  bool operator==(const PoolGeometry&) const = default;

 private:
  int64_t output_size(int64_t size, int64_t window, int64_t stride, int64_t pad) const {
    const int64_t span = size + 2 * pad - window;
    int64_t out = (ceil_mode ? (span + stride - 1) / stride : span / stride) + 1;
    if (ceil_mode && (out - 1) * stride >= size + pad) --out;
    return out;
  }
};

// As above, for pooling; additionally each window must hold at least one input element.
void validate(const PoolGeometry& g);

}  // namespace verace::kernels
