// Max pooling and global average pooling, plainly: one output element after the other.
#include "kernels/pool.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::reference {
namespace {

// Calls body(image, p, q, channel, index in the output tensor).
template <typename Body>
void for_each_output(const PoolGeometry& g, const Body& body) {
  int64_t index = 0;
  for (int64_t n = 0; n < g.x.n; ++n) {
    for (int64_t p = 0; p < g.p(); ++p) {
      for (int64_t q = 0; q < g.q(); ++q) {
        for (int64_t c = 0; c < g.x.c; ++c) body(n, p, q, c, index++);
      }
    }
  }
}

// Index in x of tap (r, s) of window (p, q), or -1 where it lies in the padding.
int64_t tap_index(const PoolGeometry& g, int64_t n, int64_t h, int64_t w, int64_t c) {
  if (h < 0 || h >= g.x.h || w < 0 || w >= g.x.w) return -1;
  return ((n * g.x.h + h) * g.x.w + w) * g.x.c + c;
}

}  // namespace

void max_pool_forward(const Exec&, const MaxPoolForward& args) {
  const PoolGeometry& g = args.geometry;
  validate(g);
  VERACE_CHECK(g.r * g.s <= 255);
  for_each_output(g, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    int64_t winner = -1;
    float best = 0.0f;
    for (int64_t r = 0; r < g.r; ++r) {
      for (int64_t s = 0; s < g.s; ++s) {
        const int64_t i =
            tap_index(g, n, p * g.stride_h - g.pad_h + r, q * g.stride_w - g.pad_w + s, c);
        if (i < 0) continue;
        const float value = args.x[i];
        const bool wins = winner < 0 || (!std::isnan(best) && (std::isnan(value) || value > best));
        if (!wins) continue;
        best = value;
        winner = r * g.s + s;
      }
    }
    args.y[out] = best;
    if (args.winner != nullptr) args.winner[out] = static_cast<uint8_t>(winner);
  });
}

void max_pool_backward(const Exec&, const MaxPoolBackward& args) {
  const PoolGeometry& g = args.geometry;
  validate(g);
  VERACE_CHECK(g.r * g.s <= 255);
  std::fill_n(args.dx, g.x.count(), 0.0f);
  for_each_output(g, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    const int64_t r = args.winner[out] / g.s, s = args.winner[out] % g.s;
    const int64_t i =
        tap_index(g, n, p * g.stride_h - g.pad_h + r, q * g.stride_w - g.pad_w + s, c);
    args.dx[i] += args.dy2 == nullptr ? args.dy[out] : args.dy[out] + args.dy2[out];
  });
}

void global_average_pool_forward(const Exec&, const GlobalAveragePoolForward& args) {
  const Nhwc& shape = args.shape;
  VERACE_CHECK(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
  const int64_t pixels = shape.h * shape.w;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t c = 0; c < shape.c; ++c) {
      double sum = 0.0;
      for (int64_t i = 0; i < pixels; ++i) {
        sum += static_cast<double>(args.x[(n * pixels + i) * shape.c + c]);
      }
      args.y[n * shape.c + c] = static_cast<float>(sum / static_cast<double>(pixels));
    }
  }
}

void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackward& args) {
  const Nhwc& shape = args.shape;
  VERACE_CHECK(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
  const int64_t pixels = shape.h * shape.w;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t i = 0; i < pixels; ++i) {
      for (int64_t c = 0; c < shape.c; ++c) {
        args.dx[(n * pixels + i) * shape.c + c] =
            args.dy[n * shape.c + c] / static_cast<float>(pixels);
      }
    }
  }
}

}  // namespace verace::kernels::reference
