// Device code's sums and maxima over a warp or a block: a fixed order, the result in every thread.
#pragma once

#include "kernels/simt/launch.h"

namespace verace::simt {

inline constexpr unsigned kWholeWarp = 0xffffffffu;

// The butterfly adds the same pairs in every lane, so all lanes hold the same bits.
template <typename T>
__device__ inline T warp_sum(T x SIMT_CALLER) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) {
    x += __shfl_xor_sync(kWholeWarp, x, lane, 32 SIMT_AND_PLACE);
  }
  return x;
}

// A NaN is ignored unless all are NaN.
__device__ inline float warp_max(float x SIMT_CALLER) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, lane, 32 SIMT_AND_PLACE));
  }
  return x;
}

// Over a one-dimensional block of kThreads, which all must call it. shared: kThreads / 32 elements;
// free for the next use on return.
template <int kThreads, typename T>
__device__ inline T block_sum(T x, T* shared SIMT_CALLER) {
  static_assert(kThreads % 32 == 0);
  if constexpr (kThreads == 32) return warp_sum(x SIMT_AND_PLACE);
  x = warp_sum(x SIMT_AND_PLACE);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads(SIMT_PLACE);
  T sum = shared[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) sum += shared[warp];
  __syncthreads(SIMT_PLACE);
  return sum;
}

template <int kThreads>
__device__ inline float block_max(float x, float* shared SIMT_CALLER) {
  static_assert(kThreads % 32 == 0);
  if constexpr (kThreads == 32) return warp_max(x SIMT_AND_PLACE);
  x = warp_max(x SIMT_AND_PLACE);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads(SIMT_PLACE);
  float largest = shared[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) largest = fmaxf(largest, shared[warp]);
  __syncthreads(SIMT_PLACE);
  return largest;
}

}  // namespace verace::simt
