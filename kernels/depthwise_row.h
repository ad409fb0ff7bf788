// One row of a depthwise convolution on the CPU, a group of channels at a time: their nine weights
// stay in registers while the row goes by.
#pragma once

#include <cstdint>

#include "kernels/depthwise_conv.h"
#include "kernels/lanes.h"

namespace verace::kernels::cpu {

// The rows of x that an output row reads, those outside left out, and the weights of each.
struct DepthwiseRows {
  int count = 0;
  const float* x[3] = {};  // [w, c]
  const float* w[3] = {};  // [3, c]

  // Row `row` of n * p.
  DepthwiseRows(const DepthwiseConv& a, int64_t row) {
    const int64_t n = row / a.p(), top = row % a.p() * a.stride - 1;
    for (int64_t r = 0; r < 3; ++r) {
      const int64_t h = top + r;
      if (h < 0 || h >= a.shape.h) continue;
      x[count] = a.x + (n * a.shape.h + h) * a.shape.w * a.shape.c;
      w[count++] = a.w + r * 3 * a.shape.c;
    }
  }
};

// y[q, channel ... channel + lanes of V] for q from `begin` to `end`; y points to `begin`.
template <int kRows, typename V>
void depthwise_lanes(const DepthwiseConv& a, const DepthwiseRows& rows, int64_t channel,
                     int64_t begin, int64_t end, float* y) {
  const int64_t c = a.shape.c, width = a.shape.w, stride = a.stride;
  V w[kRows][3];
  for (int r = 0; r < kRows; ++r) {
    for (int s = 0; s < 3; ++s) w[r][s] = load_lanes<V>(rows.w[r] + s * c + channel);
  }
  const V bias = load_lanes<V>(a.bias + channel);
  for (int64_t q = begin; q < end; ++q) {
    const int64_t left = q * stride - 1;
    V sum = bias;
    if (left >= 0 && left + 2 < width) {
      for (int r = 0; r < kRows; ++r) {
        const float* x = rows.x[r] + left * c + channel;
        for (int s = 0; s < 3; ++s) sum += load_lanes<V>(x + s * c) * w[r][s];
      }
    } else {
      for (int r = 0; r < kRows; ++r) {
        for (int s = 0; s < 3; ++s) {
          if (left + s < 0 || left + s >= width) continue;
          sum += load_lanes<V>(rows.x[r] + (left + s) * c + channel) * w[r][s];
        }
      }
    }
    store_lanes(y + (q - begin) * c + channel, leaky_relu_lanes(sum, a.slope));
  }
}

template <int kRows>
void depthwise_channels(const DepthwiseConv& a, const DepthwiseRows& rows, int64_t begin,
                        int64_t end, float* y) {
  const int64_t c = a.shape.c;
  int64_t channel = 0;
  for (; channel + 16 <= c; channel += 16) {
    depthwise_lanes<kRows, Lanes<16>>(a, rows, channel, begin, end, y);
  }
  for (; channel + 8 <= c; channel += 8) {
    depthwise_lanes<kRows, Lanes<8>>(a, rows, channel, begin, end, y);
  }
  for (; channel < c; ++channel) depthwise_lanes<kRows, Lanes<1>>(a, rows, channel, begin, end, y);
}

// y[begin ... end, c] of output row `row` of n * p.
inline void depthwise_row(const DepthwiseConv& a, int64_t row, int64_t begin, int64_t end,
                          float* y) {
  const DepthwiseRows rows(a, row);
  if (rows.count == 3) return depthwise_channels<3>(a, rows, begin, end, y);
  if (rows.count == 2) return depthwise_channels<2>(a, rows, begin, end, y);
  depthwise_channels<1>(a, rows, begin, end, y);
}

}  // namespace verace::kernels::cpu
