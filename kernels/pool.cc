// Pooling on the CPU: one pixel at a time, the channels inside.
#include "kernels/pool.h"

#include <algorithm>
#include <limits>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/pool_windows.h"

namespace verace::kernels::cpu {
namespace {

constexpr int64_t kMaximaTile = 64;     // channels whose maxima and winners are held at a time
constexpr int64_t kAverageTile = 1024;  // channels whose sums are held at a time

void check(const PoolGeometry& g) {
  validate(g);
  VERACE_CHECK(g.r * g.s <= 255);
}

// Moves best and winner on by kTaps neighbouring window elements, the first of which has number
// `code`.
template <int kTaps>
void visit(const float* in, int64_t c, int32_t code, int64_t width, float* best, int32_t* winner) {
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    float old = best[j];
    int32_t won = winner[j];
#pragma GCC unroll 3
    for (int t = 0; t < kTaps; ++t) {
      const float value = in[t * c + j];
      const float beats = value <= old ? old : value;
      const bool wins = wins_over(value, old);
      won = wins ? code + t : won;
      old = wins ? beats : old;
    }
    best[j] = old;
    winner[j] = won;
  }
}

// Maxima and winners of one window over `width` <= kMaximaTile channels from x (channel 0 of pixel
// (0, 0) of the image).
void window_maximum(const PoolGeometry& g, const float* x, const Taps<int64_t>& rows,
                    const Taps<int64_t>& columns, int64_t width, float* best, int32_t* winner) {
  std::fill_n(best, width, -std::numeric_limits<float>::infinity());
  std::fill_n(winner, width, static_cast<int32_t>(rows.begin * g.s + columns.begin));
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const float* row = x + ((rows.start + r) * g.x.w + columns.start) * g.x.c;
    const int32_t code = static_cast<int32_t>(r * g.s);
    int64_t s = columns.begin;
    for (; s + 3 <= columns.end; s += 3) {
      visit<3>(row + s * g.x.c, g.x.c, code + static_cast<int32_t>(s), width, best, winner);
    }
    for (; s < columns.end; ++s) {
      visit<1>(row + s * g.x.c, g.x.c, code + static_cast<int32_t>(s), width, best, winner);
    }
  }
}

// One window that covers an input pixel: where its gradient and winners stand, and the code of the
// pixel in it.
struct Covering {
  int64_t offset;
  uint8_t code;
};

// dx = or += the gradient of one covering window where this pixel won it.
template <bool kFork, bool kFirst>
void gather(const MaxPoolBackward& args, const Covering& window, int64_t c, float* dx) {
  const float* dy = args.dy + window.offset;
  const float* dy2 = kFork ? args.dy2 + window.offset : nullptr;
  const uint8_t* winner = args.winner + window.offset;
  const int32_t code = window.code;
#pragma omp simd
  for (int64_t j = 0; j < c; ++j) {
    float gradient = dy[j];
    if constexpr (kFork) gradient += dy2[j];
    const float won = static_cast<int32_t>(winner[j]) == code ? gradient : 0.0f;
    dx[j] = kFirst ? won : dx[j] + won;
  }
}

// Gradient of one input row: every pixel collects from the windows over it, in row order.
template <bool kFork>
void backward_row(const MaxPoolBackward& args, int64_t image, int64_t h) {
  const PoolGeometry& g = args.geometry;
  const int64_t c = g.x.c, p_count = g.p(), q_count = g.q();
  const Outputs<int64_t> ps = outputs_over(h, g.stride_h, g.pad_h, g.r, p_count);
  for (int64_t w = 0; w < g.x.w; ++w) {
    const Outputs<int64_t> qs = outputs_over(w, g.stride_w, g.pad_w, g.s, q_count);
    float* dx = args.dx + ((image * g.x.h + h) * g.x.w + w) * c;
    bool first = true;
    for (int64_t p = ps.begin; p < ps.end; ++p) {
      for (int64_t q = qs.begin; q < qs.end; ++q) {
        const int64_t r = h + g.pad_h - p * g.stride_h, s = w + g.pad_w - q * g.stride_w;
        const Covering window{((image * p_count + p) * q_count + q) * c,
                              static_cast<uint8_t>(r * g.s + s)};
        first ? gather<kFork, true>(args, window, c, dx)
              : gather<kFork, false>(args, window, c, dx);
        first = false;
      }
    }
    if (first) std::fill_n(dx, c, 0.0f);  // a stride larger than the window skips pixels
  }
}

}  // namespace

void max_pool_forward(const Exec& exec, const MaxPoolForward& args) {
  const PoolGeometry& g = args.geometry;
  check(g);
  const int64_t c = g.x.c, p_count = g.p(), q_count = g.q();
  parallel_for(exec, g.x.n * p_count, [&](int64_t row) {
    const int64_t image = row / p_count;
    const Taps<int64_t> rows = taps(row % p_count, g.stride_h, g.pad_h, g.r, g.x.h);
    alignas(64) float best[kMaximaTile];
    alignas(64) int32_t winner[kMaximaTile];
    for (int64_t q = 0; q < q_count; ++q) {
      const Taps<int64_t> columns = taps(q, g.stride_w, g.pad_w, g.s, g.x.w);
      const int64_t out = (row * q_count + q) * c;
      for (int64_t j0 = 0; j0 < c; j0 += kMaximaTile) {
        const int64_t width = std::min(kMaximaTile, c - j0);
        window_maximum(g, args.x + image * g.x.h * g.x.w * c + j0, rows, columns, width, best,
                       winner);
        std::copy_n(best, width, args.y + out + j0);
        if (args.winner == nullptr) continue;
        uint8_t* kept = args.winner + out + j0;
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) kept[j] = static_cast<uint8_t>(winner[j]);
      }
    }
  });
}

void max_pool_backward(const Exec& exec, const MaxPoolBackward& args) {
  const PoolGeometry& g = args.geometry;
  check(g);
  parallel_for(exec, g.x.n * g.x.h, [&](int64_t row) {
    if (args.dy2 != nullptr) {
      backward_row<true>(args, row / g.x.h, row % g.x.h);
    } else {
      backward_row<false>(args, row / g.x.h, row % g.x.h);
    }
  });
}

void global_average_pool_forward(const Exec& exec, const GlobalAveragePoolForward& args) {
  const Nhwc& shape = args.shape;
  VERACE_CHECK(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
  const int64_t pixels = shape.h * shape.w;
  const int64_t tiles = (shape.c + kAverageTile - 1) / kAverageTile;
  parallel_for(exec, shape.n * tiles, [&](int64_t item) {
    const int64_t image = item / tiles, j0 = item % tiles * kAverageTile;
    const int64_t width = std::min(kAverageTile, shape.c - j0);
    alignas(64) double sums[kAverageTile] = {};
    for (int64_t i = 0; i < pixels; ++i) {
      const float* x = args.x + (image * pixels + i) * shape.c + j0;
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) sums[j] += static_cast<double>(x[j]);
    }
    float* y = args.y + image * shape.c + j0;
    for (int64_t j = 0; j < width; ++j)
      y[j] = static_cast<float>(sums[j] / static_cast<double>(pixels));
  });
}

void global_average_pool_backward(const Exec& exec, const GlobalAveragePoolBackward& args) {
  const Nhwc& shape = args.shape;
  VERACE_CHECK(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
  const int64_t pixels = shape.h * shape.w;
  const float count = static_cast<float>(pixels);
  parallel_for(exec, shape.n * pixels, [&](int64_t row) {
    const float* dy = args.dy + row / pixels * shape.c;
    float* dx = args.dx + row * shape.c;
#pragma omp simd
    for (int64_t j = 0; j < shape.c; ++j) dx[j] = dy[j] / count;
  });
}

}  // namespace verace::kernels::cpu
