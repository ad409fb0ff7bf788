// Batch normalisation on CUDA: statistics of a batch in two stages, inverse deviation, folding.
//
// Stage 1: each thread sums deviations from the first value that it meets and their squares, over
// some rows, in float. The shift is one of the values, so the sum of squares is at most n times the
// sum of squares about the mean, and what cancels stays small however far the mean is from zero.
// From there on (mean, sum of squares about it) in double, merged by Chan, Golub & LeVeque 1983
// (eq. 1.5) in a fixed tree. Stage 2: the chunks of a channel, two passes over their moments.
#include "kernels/batch_norm.h"

#include "kernels/channel_packs.cuh"

namespace verace::kernels::cuda {
namespace {

// Moments of the channels of all threads of a block.
struct BlockMoments {
  double mean[kPackChannels][kSumThreads], squares[kPackChannels][kSumThreads];
};

// Of rows first, first + step ... before end, at the thread's channels.
template <bool kVector, class T>
__device__ void moments_of_rows(const T* x, size_t first, size_t end, size_t c, int valid,
                                BlockMoments& moments) {
  const unsigned step = blockDim.y;
  Pack shift, sum = {}, squares = {};
  simt::load_some<kVector>(x + first * c, valid, shift);
#pragma unroll 4
  for (size_t row = first + step; row < end; row += step) {
    Pack value;
    simt::load_some<kVector>(x + row * c, valid, value);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      const float d = value[k] - shift[k];
      sum[k] += d;
      squares[k] += d * d;
    }
  }
  const double inverse = 1.0 / rows_of_lane(static_cast<unsigned>(end - first), 0, step);
  const unsigned thread = thread_of_block();
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) {
    const double s = static_cast<double>(sum[k]);
    const double about_mean = static_cast<double>(squares[k]) - s * s * inverse;
    moments.mean[k][thread] = static_cast<double>(shift[k]) + s * inverse;
    moments.squares[k][thread] = about_mean < 0.0 ? 0.0 : about_mean;  // so that a NaN stays one
  }
}

// Merges the moments of `rows` rows, dealt out to the lanes along y, into lane 0.
__device__ void merge_lanes(BlockMoments& moments, unsigned rows) {
  const unsigned thread = thread_of_block();
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    const double here = static_cast<double>(rows_of_lane(rows, threadIdx.y, 2 * half));
    const double there = static_cast<double>(rows_of_lane(rows, threadIdx.y + half, 2 * half));
    if (threadIdx.y < half && there > 0.0) {
      const double share = there / (here + there);
      const unsigned other = thread + half * blockDim.x;
#pragma unroll
      for (int k = 0; k < kPackChannels; ++k) {
        const double d = moments.mean[k][other] - moments.mean[k][thread];
        moments.mean[k][thread] += d * share;
        moments.squares[k][thread] += moments.squares[k][other] + d * d * here * share;
      }
    }
  }
}

// partial[chunk][mean, squares][c].
template <class T>
__global__ void __launch_bounds__(kSumThreads, 3)
    partial_moments_kernel(const T* x, size_t rows, size_t c, size_t rows_per_chunk, bool vectors,
                           double* partial) {
  __shared__ BlockMoments moments;
  const unsigned thread = thread_of_block();
  const size_t channel =
      (static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPackChannels;
  const int valid = simt::valid_of<kPackChannels>(channel, c);
  const size_t first = static_cast<size_t>(blockIdx.y) * rows_per_chunk;
  const size_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;

  if (valid == 0 || first + threadIdx.y >= end) {
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      moments.mean[k][thread] = moments.squares[k][thread] = 0.0;
    }
  } else if (vectors) {
    moments_of_rows<true>(x + channel, first + threadIdx.y, end, c, valid, moments);
  } else {
    moments_of_rows<false>(x + channel, first + threadIdx.y, end, c, valid, moments);
  }
  merge_lanes(moments, static_cast<unsigned>(end - first));
  if (threadIdx.y == 0) {
    double* out = partial + static_cast<size_t>(blockIdx.y) * 2 * c + channel;
    for (int k = 0; k < valid; ++k) {
      out[k] = moments.mean[k][thread];
      out[c + k] = moments.squares[k][thread];
    }
  }
}

struct FinishStatistics {
  const double* partial;
  size_t rows, c, rows_per_chunk, chunks;
  double epsilon, momentum;
  RunningVariance convention;
  float *mean, *inv_std, *running_mean, *running_var;
};

__device__ void write_statistics(const FinishStatistics& a, size_t channel, double mean,
                                 double variance) {
  a.mean[channel] = static_cast<float>(mean);
  a.inv_std[channel] = static_cast<float>(inverse_root(variance, a.epsilon));
  if (a.running_mean == nullptr) return;
  const double factor = running_factor(a.convention, static_cast<double>(a.rows), a.epsilon);
  a.running_mean[channel] = moved_average(a.running_mean[channel], mean, a.momentum);
  a.running_var[channel] = moved_average(a.running_var[channel], factor * variance, a.momentum);
}

__global__ void __launch_bounds__(kColumns* kColumnLanes)
    finish_statistics_kernel(FinishStatistics a) {
  const size_t channel = static_cast<size_t>(blockIdx.x) * kColumns + threadIdx.x;
  const bool active = channel < a.c;
  const double n = static_cast<double>(a.rows);
  const double pivot = active ? a.partial[channel] : 0.0;
  const auto rows_of = [&](size_t chunk) {
    const size_t first = chunk * a.rows_per_chunk;
    return static_cast<double>(a.rows - first < a.rows_per_chunk ? a.rows - first
                                                                 : a.rows_per_chunk);
  };
  double offset = 0.0;  // of the mean from the pivot
  for (size_t chunk = threadIdx.y; active && chunk < a.chunks; chunk += kColumnLanes) {
    offset += rows_of(chunk) * (a.partial[chunk * 2 * a.c + channel] - pivot);
  }
  const double mean = pivot + column_sum(offset) / n;
  double squares = 0.0;
  for (size_t chunk = threadIdx.y; active && chunk < a.chunks; chunk += kColumnLanes) {
    const double* moments = a.partial + chunk * 2 * a.c + channel;
    const double d = moments[0] - mean;
    squares += moments[a.c] + rows_of(chunk) * d * d;
  }
  const double variance = column_sum(squares) / n;
  if (active && threadIdx.y == 0) write_statistics(a, channel, mean, variance);
}

__global__ void __launch_bounds__(simt::kElementThreads)
    inverse_std_kernel(const float* variance, size_t c, double epsilon, float* inv_std) {
  const size_t j = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j < c) {
    inv_std[j] = static_cast<float>(inverse_root(static_cast<double>(variance[j]), epsilon));
  }
}

struct Fold {
  size_t fan_in;
  const float *w, *gamma, *beta, *mean, *variance;
  double epsilon;
  float *w_out, *bias_out;
};

// A block per filter; single floats, since this runs once per model.
__global__ void __launch_bounds__(simt::kElementThreads) fold_kernel(Fold a) {
  const size_t k = blockIdx.x;
  const double scale =
      static_cast<double>(a.gamma[k]) * inverse_root(static_cast<double>(a.variance[k]), a.epsilon);
  const float factor = static_cast<float>(scale);
  for (size_t i = threadIdx.x; i < a.fan_in; i += blockDim.x) {
    a.w_out[k * a.fan_in + i] = a.w[k * a.fan_in + i] * factor;
  }
  if (threadIdx.x == 0) {
    a.bias_out[k] =
        static_cast<float>(static_cast<double>(a.beta[k]) - static_cast<double>(a.mean[k]) * scale);
  }
}

}  // namespace

template <class T>
void batch_norm_statistics(const Exec& exec, const BatchNormStatisticsOf<T>& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0 && args.epsilon > 0.0);
  VERACE_CHECK((args.running_mean == nullptr) == (args.running_var == nullptr));
  VERACE_CHECK(args.running_mean == nullptr || args.rows >= 2);
  VERACE_CHECK(args.momentum >= 0.0 && args.momentum <= 1.0);
  VERACE_CHECK(args.scratch != nullptr, "statistics on CUDA need scratch");
  const RowChunks chunks(args.rows, args.c);
  const bool vectors = args.c % kPackChannels == 0 && simt::is_vector_aligned(args.x);
  const size_t rows = static_cast<size_t>(args.rows), c = static_cast<size_t>(args.c);
  const size_t rows_per_chunk = static_cast<size_t>(chunks.rows_per_chunk);
  const uintptr_t address = reinterpret_cast<uintptr_t>(args.scratch);
  double* partial =
      reinterpret_cast<double*>(args.scratch + address % sizeof(double) / sizeof(float));
  simt::launch(partial_moments_kernel<T>, {chunk_grid(chunks), chunk_block(chunks), 0, exec.stream},
               args.x, rows, c, rows_per_chunk, vectors, partial);
  simt::launch(
      finish_statistics_kernel,
      {grid_size(RowChunks::ceil_div(args.c, kColumns)), dim3(kColumns, kColumnLanes), 0,
       exec.stream},
      FinishStatistics{partial, rows, c, rows_per_chunk, static_cast<size_t>(chunks.chunks),
                       args.epsilon, args.momentum, args.convention, args.mean, args.inv_std,
                       args.running_mean, args.running_var});
}

void inverse_std(const Exec& exec, const InverseStd& args) {
  VERACE_CHECK(args.c > 0 && args.epsilon > 0.0);
  const unsigned blocks = grid_size(RowChunks::ceil_div(args.c, simt::kElementThreads));
  simt::launch(inverse_std_kernel, {blocks, simt::kElementThreads, 0, exec.stream}, args.variance,
               static_cast<size_t>(args.c), args.epsilon, args.inv_std);
}

void fold_batch_norm(const Exec& exec, const FoldBatchNorm& args) {
  VERACE_CHECK(args.k > 0 && args.fan_in > 0 && args.epsilon > 0.0);
  simt::launch(fold_kernel, {grid_size(args.k), simt::kElementThreads, 0, exec.stream},
               Fold{static_cast<size_t>(args.fan_in), args.w, args.gamma, args.beta, args.mean,
                    args.variance, args.epsilon, args.w_out, args.bias_out});
}

template void batch_norm_statistics(const Exec&, const BatchNormStatisticsOf<float>&);
template void batch_norm_statistics(const Exec&, const BatchNormStatisticsOf<Half>&);
template void batch_norm_statistics(const Exec&, const BatchNormStatisticsOf<BFloat16>&);

}  // namespace verace::kernels::cuda
