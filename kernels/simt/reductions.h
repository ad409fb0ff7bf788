// Device code's sums and maxima over a warp or a block: a fixed order, the result in every thread.
#pragma once

#include "kernels/simt/launch.h"

namespace verace::simt {

inline constexpr unsigned kWholeWarp = 0xffffffffu;

// The butterfly adds the same pairs in every lane, so all lanes hold the same bits.
template <typename T>
__device__ inline T warp_sum(T x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(kWholeWarp, x, lane);
  return x;
}

// A NaN is ignored unless all are NaN.
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, lane));
  return x;
}

// Over a one-dimensional block of kThreads, which all must call it. shared: kThreads / 32 elements;
// free for the next use on return.
template <int kThreads, typename T>
__device__ inline T block_sum(T x, T* shared) {
  static_assert(kThreads % 32 == 0);
  if constexpr (kThreads == 32) return warp_sum(x);
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  T sum = shared[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) sum += shared[warp];
  __syncthreads();
  return sum;
}

template <int kThreads>
__device__ inline float block_max(float x, float* shared) {
  static_assert(kThreads % 32 == 0);
  if constexpr (kThreads == 32) return warp_max(x);
  x = warp_max(x);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float largest = shared[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) largest = fmaxf(largest, shared[warp]);
  __syncthreads();
  return largest;
}

}  // namespace verace::simt
