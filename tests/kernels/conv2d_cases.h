// Convolutions to test with, and what they must give: an oracle of three lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "tests/support/compare.h"

namespace verace::test {

using kernels::ConvGeometry;
using kernels::Nhwc;

// ---- Oracle ----------------------------------------------------------------------------------
// One visitor names every product of a convolution by its offsets in x, y and w; the three
// operations are then one scattering line each. `index` supplies strides and padding, `g` sizes:
// they differ only in planted faults. Plain loops over taps outside and pixels inside, no sharing
// with the reference device.
template <typename Visit>
void for_each_product(const ConvGeometry& g, const ConvGeometry& index, Visit&& visit) {
  const int64_t p_size = g.p(), q_size = g.q();
  for (int64_t r = 0; r < g.r; ++r) {
    for (int64_t s = 0; s < g.s; ++s) {
      for (int64_t npq = 0; npq < g.x.n * p_size * q_size; ++npq) {
        const int64_t n = npq / (p_size * q_size);
        const int64_t h = npq / q_size % p_size * index.stride_h + r - index.pad_h;
        const int64_t w = npq % q_size * index.stride_w + s - index.pad_w;
        if (h < 0 || h >= g.x.h || w < 0 || w >= g.x.w) continue;
        const int64_t x_pixel = ((n * g.x.h + h) * g.x.w + w) * g.x.c;
        for (int64_t k = 0; k < g.k; ++k) {
          const int64_t w_tap = ((k * g.r + r) * g.s + s) * g.x.c;
          for (int64_t c = 0; c < g.x.c; ++c) visit(x_pixel + c, npq * g.k + k, w_tap + c);
        }
      }
    }
  }
}

using Doubles = std::vector<double>;

inline Doubles zeros(int64_t count) { return Doubles(static_cast<size_t>(count), 0.0); }

inline Doubles oracle_product(const ConvGeometry& g, const ConvGeometry& index, const Doubles& x,
                              const Doubles& w) {
  Doubles y = zeros(g.y().count());
  for_each_product(g, index, [&](int64_t xi, int64_t yi, int64_t wi) { y[yi] += x[xi] * w[wi]; });
  return y;
}

inline Doubles oracle_data(const ConvGeometry& g, const ConvGeometry& index, const Doubles& dy,
                           const Doubles& w) {
  Doubles dx = zeros(g.x.count());
  for_each_product(g, index, [&](int64_t xi, int64_t yi, int64_t wi) { dx[xi] += dy[yi] * w[wi]; });
  return dx;
}

inline Doubles oracle_filter(const ConvGeometry& g, const ConvGeometry& index, const Doubles& x,
                             const Doubles& dy) {
  Doubles dw = zeros(g.filter_count());
  for_each_product(g, index, [&](int64_t xi, int64_t yi, int64_t wi) { dw[wi] += dy[yi] * x[xi]; });
  return dw;
}

inline ConvGeometry geometry(Nhwc x, int64_t k, int64_t r, int64_t s, int64_t stride_h,
                             int64_t stride_w, int64_t pad_h, int64_t pad_w) {
  return {x, k, r, s, stride_h, stride_w, pad_h, pad_w};
}

// Odd and even channels, tails of every vector length, one and three images, h != w throughout.
inline std::vector<ConvGeometry> geometries() {
  return {
      geometry({1, 5, 6, 3}, 4, 1, 1, 1, 1, 0, 0),
      geometry({3, 9, 7, 5}, 8, 3, 3, 1, 1, 1, 1),
      geometry({1, 11, 13, 3}, 16, 7, 7, 2, 2, 3, 3),
      geometry({1, 32, 30, 3}, 64, 7, 7, 2, 2, 3, 3),  // the stem's shape
      geometry({3, 8, 10, 8}, 24, 3, 3, 2, 1, 1, 0),   // strides and pads differ
      geometry({1, 7, 9, 16}, 5, 3, 1, 1, 1, 1, 0),    // r != s
      geometry({3, 6, 12, 24}, 16, 1, 5, 1, 3, 0, 2),
      geometry({1, 8, 10, 16}, 32, 1, 1, 2, 2, 0, 0),  // 1x1 that skips pixels
      geometry({3, 7, 5, 3}, 7, 1, 1, 2, 3, 0, 0),
      geometry({3, 9, 8, 64}, 48, 1, 1, 2, 2, 0, 0),
      geometry({3, 14, 12, 32}, 32, 3, 3, 1, 1, 1, 1),  // channels that fill vectors
      geometry({3, 13, 14, 32}, 32, 3, 3, 2, 2, 1, 1),
      geometry({1, 7, 6, 64}, 64, 1, 1, 1, 1, 0, 0),
      geometry({3, 4, 5, 8}, 3, 2, 2, 1, 1, 1, 1),  // even filter
      geometry({3, 1, 1, 20}, 17, 1, 1, 1, 1, 0, 0),
      geometry({1, 5, 17, 1}, 1, 3, 3, 1, 1, 1, 1),
      geometry({3, 10, 9, 3}, 8, 5, 4, 3, 2, 1, 0),  // few channels, strided
      geometry({1, 9, 11, 2}, 5, 3, 3, 2, 3, 2, 1),  // the last pixels are read by none
      geometry({1, 13, 8, 4}, 16, 3, 2, 1, 2, 1, 0),
      geometry({2, 12, 9, 1}, 4, 2, 6, 2, 1, 0, 3),
      geometry({8, 7, 6, 16}, 16, 3, 3, 1, 1, 1, 1),  // many narrow images
      geometry({1, 6, 7, 5}, 3, 1, 1, 1, 1, 1, 2),    // padded 1x1
  };
}

inline std::string describe(const ConvGeometry& g) {
  const auto s = [](int64_t v) { return std::to_string(v); };
  return "x " + s(g.x.n) + "x" + s(g.x.h) + "x" + s(g.x.w) + "x" + s(g.x.c) + ", k " + s(g.k) +
         ", filter " + s(g.r) + "x" + s(g.s) + ", stride " + s(g.stride_h) + "x" + s(g.stride_w) +
         ", pad " + s(g.pad_h) + "x" + s(g.pad_w);
}

// For 16-bit storage and TF32, where tensor cores take channels by eights. Sums of products of
// small integers are exact there, too.
inline std::vector<ConvGeometry> geometries_by_eights() {
  return {
      geometry({2, 5, 6, 8}, 16, 1, 1, 1, 1, 0, 0),
      geometry({1, 9, 7, 16}, 8, 3, 3, 1, 1, 1, 1),
      geometry({1, 7, 8, 8}, 24, 3, 3, 2, 2, 1, 1),
      geometry({1, 13, 12, 8}, 8, 7, 7, 2, 2, 3, 3),  // the stem's, its channels padded
      geometry({2, 6, 9, 24}, 8, 1, 1, 2, 2, 0, 0),
      geometry({1, 8, 5, 8}, 8, 3, 1, 2, 1, 1, 0),
  };
}

}  // namespace verace::test
