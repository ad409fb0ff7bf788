// Batch normalisation on the CPU: statistics of a batch, folding; the sizes of scratch.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <memory>

#include "kernels/batch_norm_math.h"
#include "kernels/batch_norm_rows.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"

namespace verace::kernels {

int64_t batch_norm_statistics_scratch(int64_t rows, int64_t c) {
  // One to align, two moments per chunk and channel in double.
  return 1 + 2 * (2 * RowChunks(rows, c).chunks * c);
}

int64_t batch_norm_backward_scratch(int64_t rows, int64_t c) {
  // CPU: one to align, two sums per piece and channel in double, three factors per channel.
  const int64_t host = 1 + 2 * (2 * cpu::piece_count(rows) * c) + 3 * c;
  // CUDA: two sums per chunk and channel in float, two factors per channel.
  const int64_t device = 2 * RowChunks(rows, c).chunks * c + 2 * c;
  return have_cuda ? std::max(host, device) : host;
}

namespace cpu {
namespace {

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
    args.running_mean[j] = moved_average(args.running_mean[j], mean, args.momentum);
    args.running_var[j] = moved_average(args.running_var[j], factor * variance, args.momentum);
  }
}

}  // namespace

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
