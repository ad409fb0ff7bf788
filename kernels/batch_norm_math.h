// Formulas of batch norm that the CPU and CUDA share, and how the CUDA sums divide [rows, c].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/batch_norm.h"
#include "kernels/scalar_math.h"

namespace verace::kernels {

// The factor from the batch's biased variance over n rows to the one that is averaged.
VERACE_HOST_DEVICE inline double running_factor(RunningVariance convention, double n,
                                                double epsilon) {
  if (convention == RunningVariance::kBiased) return 1.0;
  const double unbiased = n / (n - 1.0);
  return convention == RunningVariance::kUnbiased ? unbiased : unbiased * n / (n - 1.0 - epsilon);
}

VERACE_HOST_DEVICE inline double inverse_root(double variance, double epsilon) {
  return 1.0 / std::sqrt(variance + epsilon);
}

// (1 - momentum) * running + momentum * batch.
VERACE_HOST_DEVICE inline float moved_average(float running, double batch, double momentum) {
  return static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * batch);
}

// What a gradient's memory holds afterwards; `old` is read with kAccumulate only.
VERACE_HOST_DEVICE inline float new_gradient(GradMode mode, const float* old, float value) {
  return mode == GradMode::kAccumulate ? *old + value : value;
}

// Channels of one thread of a CUDA kernel: 16 bytes of fp16 or bf16, twice 16 bytes of fp32, and
// one byte of a 1-bit mask.
inline constexpr int kPackChannels = 8;

// How the CUDA sums over rows divide [rows, c]: a block takes one chunk of rows and one tile of
// channels with lanes_x threads along the channels (kPackChannels each) and lanes_y along the rows.
// It depends on the shape alone, so sums do not depend on the device or the storage type.
struct RowChunks {
  static constexpr int64_t kThreads = 256;
  static constexpr int64_t kWarp = 32;
  static constexpr int64_t kMinRowsPerThread = 4;

  int64_t lanes_x, lanes_y, tiles, rows_per_chunk, chunks;

  RowChunks(int64_t rows, int64_t c) {
    const int64_t packs = ceil_div(c, kPackChannels);
    lanes_x = 1;
    while (lanes_x < packs && lanes_x < kWarp) lanes_x *= 2;
    lanes_y = kThreads / lanes_x;
    tiles = ceil_div(packs, lanes_x);
    // Three per multiprocessor of an H100 or H200, one wave; few where the kernels are emulated, so
    // that threads of small tests have many rows.
    const int64_t blocks = cuda_is_emulated ? 40 : 396;
    const int64_t share = ceil_div(rows, std::max<int64_t>(1, blocks / tiles));
    rows_per_chunk = std::max(kMinRowsPerThread, ceil_div(share, lanes_y)) * lanes_y;
    chunks = ceil_div(rows, rows_per_chunk);
  }

  static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
};

}  // namespace verace::kernels
