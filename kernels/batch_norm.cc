// Batch normalisation on the CPU: loops over rows with the channels inside, bound by memory
// bandwidth.
//
// Sums over rows run in three levels: float over blocks of 32 rows (centred values, so nothing
// cancels), double over the blocks of a piece, then the pieces in order. Pieces depend on the shape
// alone.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/scalar_math.h"

namespace verace::kernels {
namespace {

constexpr int64_t kBlockRows = 32;  // rows whose sum stays in float
constexpr int64_t kTile = 1024;  // channels handled at a time: two accumulators of 4 KiB stay in L1
constexpr int64_t kMaxPieces = 64;  // upper bound of the parallelism of a sum
constexpr int64_t kLine = 16;       // floats in a cache line
constexpr int64_t kAhead = 4096;  // floats between the row being read and the one being prefetched
constexpr int kRowsAtOnce = 4;    // rows per pass over the accumulators

int64_t rows_per_piece(int64_t rows) {
  const int64_t share = (rows + kMaxPieces - 1) / kMaxPieces;
  return std::max(2 * kBlockRows, (share + kBlockRows - 1) / kBlockRows * kBlockRows);
}

int64_t piece_count(int64_t rows) {
  const int64_t grain = rows_per_piece(rows);
  return (rows + grain - 1) / grain;
}

// The hardware does not see that one row follows the other while the accumulators are read in
// between: without these hints the sums run at half of the memory bandwidth.
inline void prefetch(const float* row, int64_t width) {
  for (int64_t j = 0; j < width; j += kLine) __builtin_prefetch(row + j, 0, 2);
}

// A tile of a block of rows: what one call of a summing function works on.
struct Tile {
  int64_t first_row, end_row;  // rows of this block
  int64_t rows, c;             // of the whole tensor
  int64_t first_channel, width;

  int64_t at(int64_t row) const { return row * c + first_channel; }
  // The row that has to be on its way while `row` is read.
  int64_t row_ahead(int64_t row) const { return row + std::max<int64_t>(1, kAhead / width); }
};

// Calls block(tile, a, b), which adds its rows to a[width] and b[width], for the whole tensor.
// Afterwards partial[0, c) holds the sums of a and partial[c, 2c) those of b; partial has
// piece_count(rows)*2c doubles.
template <typename Block>
void sum_over_rows(const Exec& exec, int64_t rows, int64_t c, double* partial, const Block& block) {
  const int64_t grain = rows_per_piece(rows);
  parallel_ranges(exec, rows, grain, [&](int64_t begin, int64_t end) {
    double* sums = partial + begin / grain * 2 * c;
    std::fill_n(sums, 2 * c, 0.0);
    alignas(64) float a[kTile], b[kTile];
    for (int64_t j0 = 0; j0 < c; j0 += kTile) {
      const int64_t width = std::min(kTile, c - j0);
      for (int64_t r = begin; r < end; r += kBlockRows) {
        std::fill_n(a, width, 0.0f);
        std::fill_n(b, width, 0.0f);
        block(Tile{r, std::min(r + kBlockRows, end), rows, c, j0, width}, a, b);
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) sums[j0 + j] += static_cast<double>(a[j]);
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) sums[c + j0 + j] += static_cast<double>(b[j]);
      }
    }
  });
  const int64_t pieces = piece_count(rows);
  parallel_ranges(exec, 2 * c, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t p = 1; p < pieces; ++p) {
#pragma omp simd
      for (int64_t j = begin; j < end; ++j) partial[j] += partial[p * 2 * c + j];
    }
  });
}

// a += x - shift, b += (x - shift)^2 over kRows rows.
template <int kRows>
void add_deviations(const float* x, int64_t c, const float* shift, int64_t width, float* a,
                    float* b) {
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    float sum = a[j], squares = b[j];
    for (int i = 0; i < kRows; ++i) {
      const float d = x[i * c + j] - shift[j];
      sum += d;
      squares += d * d;
    }
    a[j] = sum;
    b[j] = squares;
  }
}

// A guess at the mean from rows spread over the batch. Deviations from it are summed instead of the
// values, so that a mean much larger than the standard deviation does not cancel.
void guess_mean(const BatchNormStatistics& args, float* shift) {
  const int64_t samples = std::min<int64_t>(args.rows, 16);
  std::fill_n(shift, args.c, 0.0f);
  for (int64_t i = 0; i < samples; ++i) {
    const float* row = args.x + (2 * i + 1) * args.rows / (2 * samples) * args.c;
    for (int64_t j = 0; j < args.c; ++j) shift[j] += row[j] / static_cast<float>(samples);
  }
}

// N/(N-1) and its relative: the factor from the batch's variance to the one that is averaged.
double running_factor(RunningVariance convention, double n, double epsilon) {
  switch (convention) {
    case RunningVariance::kBiased:
      return 1.0;
    case RunningVariance::kUnbiased:
      return n / (n - 1.0);
    case RunningVariance::kKeras2:
      return n / (n - 1.0) * (n / (n - 1.0 - epsilon));
  }
  return 1.0;
}

// Mean, inverse standard deviation and running statistics from the sums of deviations.
void finish_statistics(const BatchNormStatistics& args, const float* shift, const double* sums) {
  const double n = static_cast<double>(args.rows);
  const double factor = running_factor(args.convention, n, args.epsilon);
  const double keep = 1.0 - args.momentum;
  for (int64_t j = 0; j < args.c; ++j) {
    const double offset = sums[j] / n;
    const double mean = static_cast<double>(shift[j]) + offset;
    // Written so that a NaN stays one.
    const double raw = sums[args.c + j] / n - offset * offset;
    const double variance = raw < 0.0 ? 0.0 : raw;
    args.mean[j] = static_cast<float>(mean);
    args.inv_std[j] = static_cast<float>(1.0 / std::sqrt(variance + args.epsilon));
    if (args.running_mean == nullptr) continue;
    args.running_mean[j] =
        static_cast<float>(keep * static_cast<double>(args.running_mean[j]) + args.momentum * mean);
    args.running_var[j] = static_cast<float>(keep * static_cast<double>(args.running_var[j]) +
                                             args.momentum * factor * variance);
  }
}

// Calls body(tile) for blocks of rows that sum nothing.
template <typename Body>
void for_each_tile(const Exec& exec, int64_t rows, int64_t c, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kElementGrain / c);
  parallel_ranges(exec, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t j0 = 0; j0 < c; j0 += kTile) {
      body(Tile{begin, end, rows, c, j0, std::min(kTile, c - j0)});
    }
  });
}

template <bool kShortcut, bool kRelu>
void apply_tile(const BatchNormApply& args, const Tile& tile) {
  const float *mean = args.mean + tile.first_channel, *beta = args.beta + tile.first_channel;
  alignas(64) float scale[kTile];
  for (int64_t j = 0; j < tile.width; ++j) {
    scale[j] = args.inv_std[tile.first_channel + j] * args.gamma[tile.first_channel + j];
  }
  for (int64_t row = tile.first_row; row < tile.end_row; ++row) {
    const float* x = args.x + tile.at(row);
    const float* shortcut = kShortcut ? args.shortcut + tile.at(row) : nullptr;
    float* y = args.y + tile.at(row);
#pragma omp simd
    for (int64_t j = 0; j < tile.width; ++j) {
      float z = (x[j] - mean[j]) * scale[j] + beta[j];
      if constexpr (kShortcut) z += shortcut[j];
      if constexpr (kRelu) z = leaky_relu(z, 0.0f);
      y[j] = z;
    }
  }
}

// The gradient at the output before it enters the normalisation: (dy + dy2) * [y > 0].
struct Incoming {
  const float *dy, *dy2, *y;
};

template <bool kFork, bool kMask>
inline float dz_at(const Incoming& in, int64_t i) {
  float dz = in.dy[i];
  if constexpr (kFork) dz += in.dy2[i];
  if constexpr (kMask) dz = in.y[i] > 0.0f ? dz : 0.0f;
  return dz;
}

// Calls body(fork, mask) with compile-time constants that say which parts `in` has.
template <typename Body>
void with_parts(const Incoming& in, const Body& body) {
  if (in.dy2 != nullptr && in.y != nullptr) return body(std::true_type{}, std::true_type{});
  if (in.dy2 != nullptr) return body(std::true_type{}, std::false_type{});
  if (in.y != nullptr) return body(std::false_type{}, std::true_type{});
  body(std::false_type{}, std::false_type{});
}

// a += dz, b += dz * xhat over kRows rows from element `first`; dz is stored as well if wanted.
template <int kRows, bool kFork, bool kMask, bool kStore>
void add_gradients(const BatchNormBackward& args, const Incoming& in, int64_t first,
                   const Tile& tile, float* a, float* b) {
  const float* x = args.x + first;
  const float* mean = args.mean + tile.first_channel;
  const float* inv_std = args.inv_std + tile.first_channel;
  const Incoming here{in.dy + first, kFork ? in.dy2 + first : nullptr,
                      kMask ? in.y + first : nullptr};
  float* store = kStore ? args.dshortcut + first : nullptr;
  const int64_t c = tile.c;
#pragma omp simd
  for (int64_t j = 0; j < tile.width; ++j) {
    float sum = a[j], product = b[j];
    for (int i = 0; i < kRows; ++i) {
      const float dz = dz_at<kFork, kMask>(here, i * c + j);
      sum += dz;
      product += dz * ((x[i * c + j] - mean[j]) * inv_std[j]);
      if constexpr (kStore) store[i * c + j] = dz;
    }
    a[j] = sum;
    b[j] = product;
  }
}

template <bool kFork, bool kMask, bool kStore>
void add_gradient_block(const BatchNormBackward& args, const Incoming& in, const Tile& tile,
                        float* a, float* b) {
  int64_t row = tile.first_row;
  for (; row + 2 <= tile.end_row; row += 2) {
    for (int64_t ahead = tile.row_ahead(row); ahead < std::min(tile.row_ahead(row) + 2, tile.rows);
         ++ahead) {
      prefetch(in.dy + tile.at(ahead), tile.width);
      prefetch(args.x + tile.at(ahead), tile.width);
      if constexpr (kFork) prefetch(in.dy2 + tile.at(ahead), tile.width);
      if constexpr (kMask) prefetch(in.y + tile.at(ahead), tile.width);
    }
    add_gradients<2, kFork, kMask, kStore>(args, in, tile.at(row), tile, a, b);
  }
  for (; row < tile.end_row; ++row) {
    add_gradients<1, kFork, kMask, kStore>(args, in, tile.at(row), tile, a, b);
  }
}

// Per-channel factors of dx = scale * (dz - offset - (x - mean) * slope).
struct DxFactors {
  float *scale, *offset, *slope;
};

// kBatch: the two correction terms are there. kStore: dz goes to dshortcut as well.
template <bool kFork, bool kMask, bool kBatch, bool kStore>
void write_dx(const BatchNormBackward& args, const Incoming& in, const DxFactors& f,
              const Tile& tile) {
  const int64_t first = tile.first_channel;
  const float *scale = f.scale + first, *offset = f.offset + first, *slope = f.slope + first;
  const float* mean = args.mean + first;
  for (int64_t row = tile.first_row; row < tile.end_row; ++row) {
    const int64_t at = tile.at(row);
    const Incoming here{in.dy + at, kFork ? in.dy2 + at : nullptr, kMask ? in.y + at : nullptr};
    const float* x = kBatch ? args.x + at : nullptr;
    float* dx = args.dx + at;
    float* store = kStore ? args.dshortcut + at : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < tile.width; ++j) {
      const float dz = dz_at<kFork, kMask>(here, j);
      float inner = dz;
      if constexpr (kBatch) inner = dz - offset[j] - (x[j] - mean[j]) * slope[j];
      if constexpr (kStore) store[j] = dz;
      dx[j] = scale[j] * inner;
    }
  }
}

void write_gradient(GradMode mode, const double* sums, int64_t c, float* gradient) {
  if (mode == GradMode::kSkip) return;
  for (int64_t j = 0; j < c; ++j) {
    const float value = static_cast<float>(sums[j]);
    gradient[j] = mode == GradMode::kAccumulate ? gradient[j] + value : value;
  }
}

// First pass: the sums, dgamma and dbeta; leaves dz in dshortcut if that is wanted.
void sum_gradients(const Exec& exec, const BatchNormBackward& args, const Incoming& in,
                   double* sums) {
  with_parts(in, [&](auto fork, auto mask) {
    sum_over_rows(exec, args.rows, args.c, sums, [&](const Tile& tile, float* a, float* b) {
      if (args.dshortcut != nullptr) {
        add_gradient_block<fork, mask, true>(args, in, tile, a, b);
      } else {
        add_gradient_block<fork, mask, false>(args, in, tile, a, b);
      }
    });
  });
  write_gradient(args.dbeta_mode, sums, args.c, args.dbeta);
  write_gradient(args.dgamma_mode, sums + args.c, args.c, args.dgamma);
}

void fill_dx_factors(const BatchNormBackward& args, const double* sums, const DxFactors& f) {
  const double n = static_cast<double>(args.rows);
  for (int64_t j = 0; j < args.c; ++j) {
    f.scale[j] = args.gamma[j] * args.inv_std[j];
    if (sums == nullptr) continue;
    f.offset[j] = static_cast<float>(sums[j] / n);
    f.slope[j] = static_cast<float>(sums[args.c + j] / n * static_cast<double>(args.inv_std[j]));
  }
}

}  // namespace

int64_t batch_norm_backward_scratch(int64_t rows, int64_t c) {
  const int64_t floats_per_double = 2;
  const int64_t alignment_slack = 1;
  return alignment_slack + floats_per_double * piece_count(rows) * 2 * c + 3 * c;
}

namespace cpu {

void batch_norm_statistics(const Exec& exec, const BatchNormStatistics& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0 && args.epsilon > 0.0);
  VERACE_CHECK((args.running_mean == nullptr) == (args.running_var == nullptr));
  VERACE_CHECK(args.running_mean == nullptr ||
               (args.rows >= 2 && args.momentum >= 0.0 && args.momentum <= 1.0));
  const size_t c = static_cast<size_t>(args.c);
  const auto shift = std::make_unique_for_overwrite<float[]>(c);
  const auto sums =
      std::make_unique_for_overwrite<double[]>(static_cast<size_t>(piece_count(args.rows)) * 2 * c);
  guess_mean(args, shift.get());
  sum_over_rows(exec, args.rows, args.c, sums.get(), [&](const Tile& tile, float* a, float* b) {
    const float* tile_shift = shift.get() + tile.first_channel;
    int64_t row = tile.first_row;
    for (; row + kRowsAtOnce <= tile.end_row; row += kRowsAtOnce) {
      const int64_t ahead = tile.row_ahead(row);
      for (int64_t r = ahead; r < std::min(ahead + kRowsAtOnce, tile.rows); ++r) {
        prefetch(args.x + tile.at(r), tile.width);
      }
      add_deviations<kRowsAtOnce>(args.x + tile.at(row), tile.c, tile_shift, tile.width, a, b);
    }
    for (; row < tile.end_row; ++row) {
      add_deviations<1>(args.x + tile.at(row), tile.c, tile_shift, tile.width, a, b);
    }
  });
  finish_statistics(args, shift.get(), sums.get());
}

void inverse_std(const Exec&, const InverseStd& args) {
  VERACE_CHECK(args.c > 0 && args.epsilon > 0.0);
  for (int64_t j = 0; j < args.c; ++j) {
    const double variance = static_cast<double>(args.variance[j]);
    args.inv_std[j] = static_cast<float>(1.0 / std::sqrt(variance + args.epsilon));
  }
}

void batch_norm_apply(const Exec& exec, const BatchNormApply& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  for_each_tile(exec, args.rows, args.c, [&](const Tile& tile) {
    if (args.shortcut != nullptr) {
      args.relu ? apply_tile<true, true>(args, tile) : apply_tile<true, false>(args, tile);
    } else {
      args.relu ? apply_tile<false, true>(args, tile) : apply_tile<false, false>(args, tile);
    }
  });
}

void batch_norm_backward(const Exec& exec, const BatchNormBackward& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.dx == nullptr || args.dx != args.dshortcut);
  const bool batch = args.mode == BatchNormMode::kBatchStatistics;
  const bool gradients = args.dgamma_mode != GradMode::kSkip || args.dbeta_mode != GradMode::kSkip;
  // Without dx the first pass is the one that writes dshortcut.
  const bool need_sums = gradients || batch || args.dx == nullptr;
  float* aligned =
      args.scratch + reinterpret_cast<uintptr_t>(args.scratch) % sizeof(double) / sizeof(float);
  double* sums = reinterpret_cast<double*>(aligned);
  float* factors = aligned + 2 * piece_count(args.rows) * 2 * args.c;
  const DxFactors f{factors, factors + args.c, factors + 2 * args.c};

  Incoming in{args.dy, args.dy2, args.y};
  bool store = args.dshortcut != nullptr;
  if (need_sums) {
    sum_gradients(exec, args, in, sums);
    // dz is complete now: the second pass reads it instead of its (perhaps overwritten) parts.
    if (store) in = {args.dshortcut, nullptr, nullptr};
    store = false;
  }
  if (args.dx == nullptr) return;
  fill_dx_factors(args, need_sums ? sums : nullptr, f);
  with_parts(in, [&](auto fork, auto mask) {
    for_each_tile(exec, args.rows, args.c, [&](const Tile& tile) {
      if (batch) {
        write_dx<fork, mask, true, false>(args, in, f, tile);
      } else if (store) {
        write_dx<fork, mask, false, true>(args, in, f, tile);
      } else {
        write_dx<fork, mask, false, false>(args, in, f, tile);
      }
    });
  });
}

void fold_batch_norm(const Exec& exec, const FoldBatchNorm& args) {
  VERACE_CHECK(args.k > 0 && args.fan_in > 0 && args.epsilon > 0.0);
  parallel_for(exec, args.k, [&](int64_t k) {
    const double inv_std = 1.0 / std::sqrt(static_cast<double>(args.variance[k]) + args.epsilon);
    const double scale = static_cast<double>(args.gamma[k]) * inv_std;
    const float factor = static_cast<float>(scale);
    const float* w = args.w + k * args.fan_in;
    float* w_out = args.w_out + k * args.fan_in;
#pragma omp simd
    for (int64_t i = 0; i < args.fan_in; ++i) w_out[i] = w[i] * factor;
    args.bias_out[k] = static_cast<float>(static_cast<double>(args.beta[k]) -
                                          static_cast<double>(args.mean[k]) * scale);
  });
}

}  // namespace cpu
}  // namespace verace::kernels
