// Batch normalisation on CUDA: gradients, in two passes over the activations.
//
// Pass 1 sums dz and dz * (x - mean) per channel, chunk by chunk, and leaves dz in dshortcut if
// that is wanted; a small kernel adds up the chunks. Pass 2 writes dx, from dshortcut where dz is
// there.
#include "kernels/batch_norm.h"

#include "kernels/channel_packs.cuh"

namespace verace::kernels::cuda {
namespace {

// Where the ReLU's mask comes from.
enum class Mask { kNone, kOutput, kBits };

// The gradient at the output before it enters the normalisation: (dy + dy2) * [y > 0].
template <class T>
struct Incoming {
  const T *dy, *dy2, *y;
  const uint32_t* mask;

  // dz of the pack of `valid` elements that starts at element i, a multiple of the pack if kVector.
  template <bool kVector, Mask kMask, bool kFork>
  __device__ void load(size_t i, int valid, Pack& dz) const {
    Pack second, output;
    simt::load_some<kVector>(dy + i, valid, dz);
    if constexpr (kFork) simt::load_some<kVector>(dy2 + i, valid, second);
    if constexpr (kMask == Mask::kOutput) simt::load_some<kVector>(y + i, valid, output);
    unsigned bits = 0;
    if constexpr (kMask == Mask::kBits) bits = bits_at<kVector>(i, valid);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      if constexpr (kFork) dz[k] += second[k];
      if constexpr (kMask == Mask::kOutput) dz[k] = output[k] > 0.0f ? dz[k] : 0.0f;
      if constexpr (kMask == Mask::kBits) dz[k] = (bits >> k & 1u) != 0 ? dz[k] : 0.0f;
    }
  }

  template <bool kVector>
  __device__ unsigned bits_at(size_t i, int valid) const {
    // The GPU is little-endian: byte i / 8 holds the bits of elements i to i + 7.
    if constexpr (kVector) return reinterpret_cast<const uint8_t*>(mask)[i / kPackChannels];
    unsigned bits = 0;
    for (int k = 0; k < valid; ++k) {
      bits |= (mask[(i + k) / 32] >> ((i + k) % 32) & 1u) << k;
    }
    return bits;
  }
};

// Stores dz in T; from here on it is what T holds.
template <bool kVector, bool kFork, class T>
__device__ void keep_dz(T* p, int valid, Pack& dz) {
  simt::store_some<kVector>(p, valid, dz);
  if constexpr (kFork) round_pack<T>(dz);  // without a fork it is a number of T already
}

// --- pass 1

template <class T>
struct SumGradients {
  size_t rows, c, rows_per_chunk;
  bool vectors;
  Incoming<T> in;
  const T* x;
  const float* mean;
  T* dz;           // where dz is kept (kKeep)
  float* partial;  // [chunk][sum of dz, sum of dz * (x - mean)][c]
};

// kKeep is a constant, since a store that might alias the next rows would hold up their loads.
template <bool kVector, Mask kMask, bool kFork, bool kKeep, class T>
__device__ void sum_rows(const SumGradients<T>& a, size_t first, size_t end, size_t channel,
                         float (&sums)[2 * kPackChannels][kSumThreads]) {
  const int valid = simt::valid_of<kPackChannels>(channel, a.c);
  Pack mean, sum = {}, product = {};
  simt::load_some<false>(a.mean + channel, valid, mean);
#pragma unroll 2
  for (size_t row = first; row < end; row += blockDim.y) {
    const size_t i = row * a.c + channel;
    Pack dz, x;
    a.in.template load<kVector, kMask, kFork>(i, valid, dz);
    simt::load_some<kVector>(a.x + i, valid, x);
    if constexpr (kKeep) keep_dz<kVector, kFork>(a.dz + i, valid, dz);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      sum[k] += dz[k];
      product[k] += dz[k] * (x[k] - mean[k]);
    }
  }
  const unsigned thread = thread_of_block();
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) {
    sums[k][thread] = sum[k];
    sums[kPackChannels + k][thread] = product[k];
  }
}

template <class T, Mask kMask, bool kFork, bool kKeep>
__global__ void __launch_bounds__(kSumThreads, 3) sum_gradients_kernel(SumGradients<T> a) {
  __shared__ float sums[2 * kPackChannels][kSumThreads];
  const size_t channel =
      (static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPackChannels;
  const size_t first = static_cast<size_t>(blockIdx.y) * a.rows_per_chunk;
  const size_t end = first + a.rows_per_chunk < a.rows ? first + a.rows_per_chunk : a.rows;
  const int valid = simt::valid_of<kPackChannels>(channel, a.c);
  const unsigned thread = thread_of_block();
  if (valid == 0) {
#pragma unroll
    for (int k = 0; k < 2 * kPackChannels; ++k) sums[k][thread] = 0.0f;
  } else if (a.vectors) {
    sum_rows<true, kMask, kFork, kKeep>(a, first + threadIdx.y, end, channel, sums);
  } else {
    sum_rows<false, kMask, kFork, kKeep>(a, first + threadIdx.y, end, channel, sums);
  }
  add_lanes(sums);
  if (threadIdx.y == 0) {
    float* out = a.partial + static_cast<size_t>(blockIdx.y) * 2 * a.c + channel;
    for (int k = 0; k < valid; ++k) {
      out[k] = sums[k][thread];
      out[a.c + k] = sums[kPackChannels + k][thread];
    }
  }
}

// --- the sums of all chunks

struct FinishGradients {
  const float* partial;
  size_t rows, c, chunks;
  const float* inv_std;
  GradMode dgamma_mode, dbeta_mode;
  float *dgamma, *dbeta;
  float *offset, *slope;  // [c] each: dx = scale * (dz - offset - (x - mean) * slope)
};

__global__ void __launch_bounds__(kColumns* kColumnLanes)
    finish_gradients_kernel(FinishGradients a) {
  const size_t channel = static_cast<size_t>(blockIdx.x) * kColumns + threadIdx.x;
  const bool active = channel < a.c;
  double sum = 0.0, product = 0.0;
  for (size_t chunk = threadIdx.y; active && chunk < a.chunks; chunk += kColumnLanes) {
    const float* sums = a.partial + chunk * 2 * a.c + channel;
    sum += static_cast<double>(sums[0]);
    product += static_cast<double>(sums[a.c]);
  }
  sum = column_sum(sum);
  product = column_sum(product);
  if (!active || threadIdx.y != 0) return;
  const double n = static_cast<double>(a.rows);
  const double inv_std = static_cast<double>(a.inv_std[channel]);
  const double dgamma = product * inv_std;
  if (a.dbeta_mode != GradMode::kSkip) {
    float* dbeta = a.dbeta + channel;
    *dbeta = new_gradient(a.dbeta_mode, dbeta, static_cast<float>(sum));
  }
  if (a.dgamma_mode != GradMode::kSkip) {
    float* gradient = a.dgamma + channel;
    *gradient = new_gradient(a.dgamma_mode, gradient, static_cast<float>(dgamma));
  }
  a.offset[channel] = static_cast<float>(sum / n);
  a.slope[channel] = static_cast<float>(dgamma / n * inv_std);
}

// --- pass 2

template <class T>
struct WriteDx {
  size_t count, c, step;  // elements, channels, packs between two of a thread
  bool vectors;
  Incoming<T> in;
  const T* x;
  const float *mean, *inv_std, *gamma, *offset, *slope;  // [c]
  T *dx, *dshortcut;
};

// dx at one channel. Without kBatch the statistics are constants, and only scale counts.
struct DxFactors {
  float scale, mean = {}, offset = {}, slope = {};

  template <bool kBatch>
  __device__ float dx_of(float dz, float x) const {
    if constexpr (kBatch) dz = dz - offset - (x - mean) * slope;
    return dz * scale;
  }
};

template <bool kBatch, class T>
__device__ DxFactors factors_at(const WriteDx<T>& a, size_t channel) {
  const float scale = a.gamma[channel] * a.inv_std[channel];
  if constexpr (!kBatch) return {scale};
  return {scale, a.mean[channel], a.offset[channel], a.slope[channel]};
}

// The factors at a thread's channels.
template <bool kBatch>
struct DxPack {
  Pack scale, mean = {}, offset = {}, slope = {};

  __device__ DxFactors at(int k) const { return {scale[k], mean[k], offset[k], slope[k]}; }

  template <class T>
  __device__ void load(const WriteDx<T>& a, size_t channel) {
    Pack inv_std;
    simt::load_some<true>(a.gamma + channel, kPackChannels, scale);
    simt::load_some<true>(a.inv_std + channel, kPackChannels, inv_std);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) scale[k] *= inv_std[k];
    if constexpr (kBatch) {
      simt::load_some<true>(a.mean + channel, kPackChannels, mean);
      simt::load_some<false>(a.offset + channel, kPackChannels, offset);
      simt::load_some<false>(a.slope + channel, kPackChannels, slope);
    }
  }
};

template <class T, Mask kMask, bool kFork, bool kBatch>
__device__ void dx_vectors(const WriteDx<T>& a, size_t thread) {
  const size_t packs = a.count / kPackChannels;
  if (thread >= a.step || thread >= packs) return;
  DxPack<kBatch> f;
  f.load(a, thread % (a.c / kPackChannels) * kPackChannels);
  for (size_t pack = thread; pack < packs; pack += a.step) {
    const size_t i = pack * kPackChannels;
    Pack dz, x = {};
    a.in.template load<true, kMask, kFork>(i, kPackChannels, dz);
    if constexpr (kBatch) simt::load_some<true>(a.x + i, kPackChannels, x);
    if (a.dshortcut != nullptr) keep_dz<true, kFork>(a.dshortcut + i, kPackChannels, dz);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) dz[k] = f.at(k).template dx_of<kBatch>(dz[k], x[k]);
    simt::store_some<true>(a.dx + i, kPackChannels, dz);
  }
}

template <class T, Mask kMask, bool kFork, bool kBatch>
__device__ void dx_singles(const WriteDx<T>& a, size_t thread) {
  for (size_t i = thread * kPackChannels; i < a.count; i += a.step * kPackChannels) {
    const int valid = simt::valid_of<kPackChannels>(i, a.count);
    size_t channel = i % a.c;
    Pack dz, x = {};
    a.in.template load<false, kMask, kFork>(i, valid, dz);
    if constexpr (kBatch) simt::load_some<false>(a.x + i, valid, x);
    if (a.dshortcut != nullptr) keep_dz<false, kFork>(a.dshortcut + i, valid, dz);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      if (k >= valid) continue;
      dz[k] = factors_at<kBatch>(a, channel).template dx_of<kBatch>(dz[k], x[k]);
      channel = channel + 1 == a.c ? 0 : channel + 1;
    }
    simt::store_some<false>(a.dx + i, valid, dz);
  }
}

template <class T, Mask kMask, bool kFork, bool kBatch>
__global__ void __launch_bounds__(PackWalk::kThreads, 3) dx_kernel(WriteDx<T> a) {
  const size_t thread = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (a.vectors) {
    dx_vectors<T, kMask, kFork, kBatch>(a, thread);
  } else {
    dx_singles<T, kMask, kFork, kBatch>(a, thread);
  }
}

// --- launchers

// Calls body(mask, fork) with compile-time constants that say which parts `in` has.
template <class T, class Body>
void with_parts(const Incoming<T>& in, const Body& body) {
  const auto with = [&](auto mask) {
    in.dy2 != nullptr ? body(mask, std::true_type{}) : body(mask, std::false_type{});
  };
  if (in.y != nullptr) {
    with(std::integral_constant<Mask, Mask::kOutput>{});
  } else if (in.mask != nullptr) {
    with(std::integral_constant<Mask, Mask::kBits>{});
  } else {
    with(std::integral_constant<Mask, Mask::kNone>{});
  }
}

// What both passes ask before they take whole vectors.
template <class T>
bool fits_vectors(const BatchNormBackwardOf<T>& args) {
  return args.c % kPackChannels == 0 &&
         simt::is_vector_aligned(args.dy, args.dy2, args.y, args.x, args.dx, args.dshortcut) &&
         simt::is_vector_aligned(args.mean, args.inv_std, args.gamma);
}

// Where the sums go: partial[chunk][2][c], then offset[c] and slope[c].
template <class T>
float* offset_of(const BatchNormBackwardOf<T>& args) {
  return args.scratch + 2 * RowChunks(args.rows, args.c).chunks * args.c;
}

template <class T>
void sum_gradients(const Exec& exec, const BatchNormBackwardOf<T>& args, const Incoming<T>& in) {
  const RowChunks chunks(args.rows, args.c);
  const size_t rows = static_cast<size_t>(args.rows), c = static_cast<size_t>(args.c);
  const SumGradients<T> a{rows,
                          c,
                          static_cast<size_t>(chunks.rows_per_chunk),
                          fits_vectors(args),
                          in,
                          args.x,
                          args.mean,
                          args.dshortcut,
                          args.scratch};
  with_parts(in, [&](auto mask, auto fork) {
    const auto kernel = args.dshortcut != nullptr ? sum_gradients_kernel<T, mask, fork, true>
                                                  : sum_gradients_kernel<T, mask, fork, false>;
    simt::launch(kernel, {chunk_grid(chunks), chunk_block(chunks), 0, exec.stream}, a);
  });
  float* offset = offset_of(args);
  simt::launch(finish_gradients_kernel,
               {grid_size(RowChunks::ceil_div(args.c, kColumns)), dim3(kColumns, kColumnLanes), 0,
                exec.stream},
               FinishGradients{args.scratch, rows, c, static_cast<size_t>(chunks.chunks),
                               args.inv_std, args.dgamma_mode, args.dbeta_mode, args.dgamma,
                               args.dbeta, offset, offset + args.c});
}

template <class T>
void write_dx(const Exec& exec, const BatchNormBackwardOf<T>& args, const Incoming<T>& in,
              T* dshortcut) {
  const int64_t count = args.rows * args.c;
  const bool vectors = fits_vectors(args);
  const PackWalk walk(RowChunks::ceil_div(count, kPackChannels),
                      vectors ? args.c / kPackChannels : 1);
  const float* offset = offset_of(args);
  const WriteDx<T> a{static_cast<size_t>(count),
                     static_cast<size_t>(args.c),
                     walk.step,
                     vectors,
                     in,
                     args.x,
                     args.mean,
                     args.inv_std,
                     args.gamma,
                     offset,
                     offset + args.c,
                     args.dx,
                     dshortcut};
  const simt::LaunchConfig config{walk.blocks, PackWalk::kThreads, 0, exec.stream};
  with_parts(in, [&](auto mask, auto fork) {
    args.mode == BatchNormMode::kBatchStatistics
        ? simt::launch(dx_kernel<T, mask, fork, true>, config, a)
        : simt::launch(dx_kernel<T, mask, fork, false>, config, a);
  });
}

}  // namespace

template <class T>
void batch_norm_backward(const Exec& exec, const BatchNormBackwardOf<T>& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.dx == nullptr || args.dx != args.dshortcut);
  VERACE_CHECK(args.y == nullptr || args.mask == nullptr, "the mask is given twice");
  const bool gradients = args.dgamma_mode != GradMode::kSkip || args.dbeta_mode != GradMode::kSkip;
  const bool batch = args.mode == BatchNormMode::kBatchStatistics;
  Incoming<T> in{args.dy, args.dy2, args.y, args.mask};
  T* dshortcut = args.dshortcut;
  // Without dx the first pass is the one that writes dshortcut.
  if (gradients || batch || args.dx == nullptr) {
    sum_gradients(exec, args, in);
    // dz is complete now: the second pass reads it instead of its (perhaps overwritten) parts.
    if (dshortcut != nullptr) in = {dshortcut, nullptr, nullptr, nullptr};
    dshortcut = nullptr;
  }
  if (args.dx != nullptr) write_dx(exec, args, in, dshortcut);
}

template void batch_norm_backward(const Exec&, const BatchNormBackwardOf<float>&);
template void batch_norm_backward(const Exec&, const BatchNormBackwardOf<Half>&);
template void batch_norm_backward(const Exec&, const BatchNormBackwardOf<BFloat16>&);

}  // namespace verace::kernels::cuda
