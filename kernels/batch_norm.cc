// Batch normalisation on the CPU: loops over rows, channels inside, bound by memory bandwidth.
//
// Sums over rows have three levels: float over 32 rows (centred values, so nothing cancels), double
// over a piece of the rows, then the pieces in order. Pieces depend on the shape alone.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <type_traits>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/scalar_math.h"

namespace verace::kernels {
namespace {

constexpr int64_t kBlockRows = 32;  // rows whose sum stays in float
constexpr int64_t kTile = 1024;     // channels at a time: two accumulators of 4 KiB stay in L1
constexpr int64_t kMaxPieces = 64;  // upper bound of the parallelism of a sum
constexpr int64_t kLine = 16;       // floats in a cache line
constexpr int64_t kAhead = 4096;    // floats between what is read and what is prefetched
constexpr int64_t kChunk = 128;     // channels between two bursts of prefetches

int64_t rows_per_piece(int64_t rows) {
  const int64_t share = (rows + kMaxPieces - 1) / kMaxPieces;
  return std::max(2 * kBlockRows, (share + kBlockRows - 1) / kBlockRows * kBlockRows);
}

int64_t piece_count(int64_t rows) { return (rows - 1) / rows_per_piece(rows) + 1; }

// A tile of a block of rows: what one call of a summing function works on.
struct Tile {
  int64_t first_row, end_row;  // rows of this block
  int64_t rows, c;             // of the whole tensor
  int64_t first_channel, width;

  int64_t at(int64_t row) const { return row * c + first_channel; }
};

// Calls group(n, row, begin, end) for n = kRows rows (a compile-time constant) and then single
// ones, over channels [begin, end) of the tile. Rows to come are prefetched in each of `streams`
// (nullptr: none): the hardware loses them while accumulators are read in between, at half of the
// bandwidth.
template <int kRows, typename Group>
void for_row_groups(const Tile& tile, std::initializer_list<const float*> streams,
                    const Group& group) {
  const int64_t distance = std::max<int64_t>(1, kAhead / tile.width);
  int64_t row = tile.first_row;
  for (; row + kRows <= tile.end_row; row += kRows) {
    for (int64_t begin = 0; begin < tile.width; begin += kChunk) {
      const int64_t end = std::min(begin + kChunk, tile.width);
      const int64_t end_ahead = std::min(row + distance + kRows, tile.rows);
      for (const float* stream : streams) {
        for (int64_t r = row + distance; stream != nullptr && r < end_ahead; ++r) {
          const float* ahead = stream + tile.at(r);
          for (int64_t j = begin; j < end; j += kLine) __builtin_prefetch(ahead + j, 0, 2);
        }
      }
      group(std::integral_constant<int, kRows>{}, row, begin, end);
    }
  }
  constexpr std::integral_constant<int, 1> one{};
  for (; row < tile.end_row; ++row) group(one, row, int64_t{0}, tile.width);
}

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
        for (int64_t j = 0; j < width; ++j) {
          sums[j0 + j] += static_cast<double>(a[j]);
          sums[c + j0 + j] += static_cast<double>(b[j]);
        }
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

// a += x - shift, b += (x - shift)^2 over a block.
void add_deviations(const float* x, const float* shift, const Tile& tile, float* a, float* b) {
  for_row_groups<4>(tile, {x}, [&](auto rows, int64_t row, int64_t begin, int64_t end) {
    const float* here = x + tile.at(row);
    const float* tile_shift = shift + tile.first_channel;
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) {
      float sum = a[j], squares = b[j];
      for (int i = 0; i < rows; ++i) {
        const float d = here[i * tile.c + j] - tile_shift[j];
        sum += d;
        squares += d * d;
      }
      a[j] = sum;
      b[j] = squares;
    }
  });
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

// The factor from the batch's variance to the one that is averaged.
double running_factor(RunningVariance convention, double n, double epsilon) {
  if (convention == RunningVariance::kBiased) return 1.0;
  const double unbiased = n / (n - 1.0);
  return convention == RunningVariance::kUnbiased ? unbiased : unbiased * n / (n - 1.0 - epsilon);
}

double inverse_root(double variance, double epsilon) { return 1.0 / std::sqrt(variance + epsilon); }

// running = (1 - momentum) * running + momentum * batch.
void move(float& running, double batch, double momentum) {
  running = static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * batch);
}

// Mean, inverse standard deviation and running statistics from the sums of deviations.
void finish_statistics(const BatchNormStatistics& args, const float* shift, const double* sums) {
  const double n = static_cast<double>(args.rows);
  const double factor = running_factor(args.convention, n, args.epsilon);
  for (int64_t j = 0; j < args.c; ++j) {
    const double offset = sums[j] / n;
    const double mean = static_cast<double>(shift[j]) + offset;
    const double raw = sums[args.c + j] / n - offset * offset;
    const double variance = raw < 0.0 ? 0.0 : raw;  // written so that a NaN stays one
    args.mean[j] = static_cast<float>(mean);
    args.inv_std[j] = static_cast<float>(inverse_root(variance, args.epsilon));
    if (args.running_mean == nullptr) continue;
    move(args.running_mean[j], mean, args.momentum);
    move(args.running_var[j], factor * variance, args.momentum);
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

  // The same from element `first` on.
  template <bool kFork, bool kMask>
  Incoming from(int64_t first) const {
    return {dy + first, kFork ? dy2 + first : nullptr, kMask ? y + first : nullptr};
  }
  template <bool kFork, bool kMask>
  float dz(int64_t i) const {
    float sum = dy[i];
    if constexpr (kFork) sum += dy2[i];
    if constexpr (kMask) sum = y[i] > 0.0f ? sum : 0.0f;
    return sum;
  }
};

// Calls body(fork, mask) with compile-time constants that say which parts `in` has.
template <typename Body>
void with_parts(const Incoming& in, const Body& body) {
  const auto with = [&](auto fork) {
    in.y != nullptr ? body(fork, std::true_type{}) : body(fork, std::false_type{});
  };
  in.dy2 != nullptr ? with(std::true_type{}) : with(std::false_type{});
}

// a += dz, b += dz * xhat over a block; kStore: dz goes to dshortcut as well.
template <bool kFork, bool kMask, bool kStore>
void add_gradients(const BatchNormBackward& args, const Incoming& in, const Tile& tile, float* a,
                   float* b) {
  const float* mean = args.mean + tile.first_channel;
  const float* inv_std = args.inv_std + tile.first_channel;
  const auto group = [&](auto rows, int64_t row, int64_t begin, int64_t end) {
    const int64_t at = tile.at(row);
    const Incoming here = in.from<kFork, kMask>(at);
    const float* x = args.x + at;
    float* store = kStore ? args.dshortcut + at : nullptr;
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) {
      float sum = a[j], product = b[j];
      for (int i = 0; i < rows; ++i) {
        const float dz = here.dz<kFork, kMask>(i * tile.c + j);
        sum += dz;
        product += dz * ((x[i * tile.c + j] - mean[j]) * inv_std[j]);
        if constexpr (kStore) store[i * tile.c + j] = dz;
      }
      a[j] = sum;
      b[j] = product;
    }
  };
  for_row_groups<2>(tile, {in.dy, args.x, in.dy2, in.y}, group);
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
    const Incoming here = in.from<kFork, kMask>(at);
    const float* x = kBatch ? args.x + at : nullptr;
    float* dx = args.dx + at;
    float* store = kStore ? args.dshortcut + at : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < tile.width; ++j) {
      const float dz = here.dz<kFork, kMask>(j);
      float inner = dz;
      if constexpr (kBatch) inner = dz - offset[j] - (x[j] - mean[j]) * slope[j];
      if constexpr (kStore) store[j] = dz;
      dx[j] = scale[j] * inner;
    }
  }
}

void write_gradient(GradMode mode, const double* sums, int64_t c, float* gradient) {
  for (int64_t j = 0; mode != GradMode::kSkip && j < c; ++j) {
    const float value = static_cast<float>(sums[j]);
    gradient[j] = mode == GradMode::kAccumulate ? gradient[j] + value : value;
  }
}

// First pass: the sums, dgamma and dbeta; leaves dz in dshortcut if that is wanted.
void sum_gradients(const Exec& exec, const BatchNormBackward& args, const Incoming& in,
                   double* sums) {
  with_parts(in, [&](auto fork, auto mask) {
    sum_over_rows(exec, args.rows, args.c, sums, [&](const Tile& tile, float* a, float* b) {
      args.dshortcut != nullptr ? add_gradients<fork, mask, true>(args, in, tile, a, b)
                                : add_gradients<fork, mask, false>(args, in, tile, a, b);
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
  // One to align, two sums per piece and channel in double, three factors per channel.
  return 1 + 2 * (2 * piece_count(rows) * c) + 3 * c;
}

namespace cpu {

void batch_norm_statistics(const Exec& exec, const BatchNormStatistics& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0 && args.epsilon > 0.0);
  VERACE_CHECK((args.running_mean == nullptr) == (args.running_var == nullptr));
  VERACE_CHECK(args.running_mean == nullptr || args.rows >= 2);
  VERACE_CHECK(args.momentum >= 0.0 && args.momentum <= 1.0);
  const size_t c = static_cast<size_t>(args.c);
  const auto shift = std::make_unique_for_overwrite<float[]>(c);
  const auto sums =
      std::make_unique_for_overwrite<double[]>(static_cast<size_t>(piece_count(args.rows)) * 2 * c);
  guess_mean(args, shift.get());
  sum_over_rows(exec, args.rows, args.c, sums.get(), [&](const Tile& tile, float* a, float* b) {
    add_deviations(args.x, shift.get(), tile, a, b);
  });
  finish_statistics(args, shift.get(), sums.get());
}

void inverse_std(const Exec&, const InverseStd& args) {
  VERACE_CHECK(args.c > 0 && args.epsilon > 0.0);
  for (int64_t j = 0; j < args.c; ++j) {
    args.inv_std[j] =
        static_cast<float>(inverse_root(static_cast<double>(args.variance[j]), args.epsilon));
  }
}

void batch_norm_apply(const Exec& exec, const BatchNormApply& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  for_each_tile(exec, args.rows, args.c, [&](const Tile& tile) {
    const auto with = [&](auto shortcut) {
      args.relu ? apply_tile<shortcut, true>(args, tile) : apply_tile<shortcut, false>(args, tile);
    };
    args.shortcut != nullptr ? with(std::true_type{}) : with(std::false_type{});
  });
}

void batch_norm_backward(const Exec& exec, const BatchNormBackward& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.dx == nullptr || args.dx != args.dshortcut);
  const bool batch = args.mode == BatchNormMode::kBatchStatistics;
  const bool gradients = args.dgamma_mode != GradMode::kSkip || args.dbeta_mode != GradMode::kSkip;
  // Without dx the first pass is the one that writes dshortcut.
  const bool need_sums = gradients || batch || args.dx == nullptr;
  const uintptr_t address = reinterpret_cast<uintptr_t>(args.scratch);
  float* aligned = args.scratch + address % sizeof(double) / sizeof(float);
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
      batch   ? write_dx<fork, mask, true, false>(args, in, f, tile)
      : store ? write_dx<fork, mask, false, true>(args, in, f, tile)
              : write_dx<fork, mask, false, false>(args, in, f, tile);
    });
  });
}

void fold_batch_norm(const Exec& exec, const FoldBatchNorm& args) {
  VERACE_CHECK(args.k > 0 && args.fan_in > 0 && args.epsilon > 0.0);
  parallel_for(exec, args.k, [&](int64_t k) {
    const double scale = static_cast<double>(args.gamma[k]) *
                         inverse_root(static_cast<double>(args.variance[k]), args.epsilon);
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
