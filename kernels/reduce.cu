// Reductions to one number on CUDA devices: partial results of blocks, then one block adds them.
//
// Which elements a thread takes depends on the count alone, and everything is added in a fixed
// order: the same bits in every run, also where the pointers allow no vectors.
#include "kernels/reduce.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/reductions.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kGroup = 4;  // neighbouring elements of a thread

// The elements [i, i + kGroup) below count; zeros behind. kVectors: accesses of kGroup are allowed.
template <bool kVectors, typename T>
__device__ inline void load_group(const T* x, size_t i, size_t count, float (&v)[kGroup]) {
  const int valid = simt::valid_of<kGroup>(i, count);
  if (kVectors && valid == kGroup) {
    simt::load(x + i, v);
  } else {
    simt::load_some<false>(x + i, valid, v);
  }
}

// Calls body(i) with the first element of each group of this thread.
template <typename Body>
__device__ inline void for_each_group(size_t count, const Body& body) {
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads * kGroup;
  const size_t first = (static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x) * kGroup;
  for (size_t i = first; i < count; i += stride) body(i);
}

template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    sum_kernel(size_t count, const float* __restrict__ x, double* __restrict__ partial) {
  __shared__ double shared[kThreads / 32];
  double sum = 0.0;
  for_each_group(count, [&](size_t i) {
    float v[kGroup];
    load_group<kVectors>(x, i, count, v);
#pragma unroll
    for (int k = 0; k < kGroup; ++k) sum += static_cast<double>(v[k]);
  });
  sum = simt::block_sum<kThreads>(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    squared_error_kernel(size_t count, const float* __restrict__ a, const float* __restrict__ b,
                         double* __restrict__ partial) {
  __shared__ double shared[kThreads / 32];
  double sum = 0.0;
  for_each_group(count, [&](size_t i) {
    float v[kGroup], w[kGroup];
    load_group<kVectors>(a, i, count, v);
    load_group<kVectors>(b, i, count, w);
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      const double d = static_cast<double>(v[k] - w[k]);
      sum += d * d;
    }
  });
  sum = simt::block_sum<kThreads>(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <bool kVectors, typename T>
__global__ void __launch_bounds__(kThreads)
    count_non_finite_kernel(size_t count, const T* __restrict__ x, int64_t* __restrict__ partial) {
  __shared__ int64_t shared[kThreads / 32];
  int64_t found = 0;
  for_each_group(count, [&](size_t i) {
    float v[kGroup];
    load_group<kVectors>(x, i, count, v);
#pragma unroll
    for (int k = 0; k < kGroup; ++k) found += simt::is_finite(v[k]) ? 0 : 1;
  });
  found = simt::block_sum<kThreads>(found, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = found;
}

// *result = sum of the partial results / divisor. One block.
template <typename Number>
__global__ void __launch_bounds__(kThreads)
    total_kernel(unsigned blocks, const Number* __restrict__ partial, Number divisor,
                 Number* __restrict__ result) {
  __shared__ Number shared[kThreads / 32];
  Number sum = 0;
  for (unsigned i = threadIdx.x; i < blocks; i += kThreads) sum += partial[i];
  sum = simt::block_sum<kThreads>(sum, shared);
  if (threadIdx.x == 0) *result = sum / divisor;
}

// 16 groups of each thread, until the scratch is full.
unsigned blocks_of(int64_t count) {
  return simt::blocks_for(count, kThreads * kGroup * 16, kReductionScratch);
}

}  // namespace

void sum(const Exec& exec, const Sum& a) {
  VERACE_CHECK(a.count >= 0 && a.scratch != nullptr);
  const unsigned blocks = blocks_of(a.count);
  const auto kernel = simt::is_vector_aligned(a.x) ? sum_kernel<true> : sum_kernel<false>;
  simt::launch(kernel, {blocks, kThreads, 0, exec.stream}, static_cast<size_t>(a.count), a.x,
               a.scratch);
  simt::launch(total_kernel<double>, {1, kThreads, 0, exec.stream}, blocks, a.scratch, 1.0,
               a.result);
}

void mean_squared_error(const Exec& exec, const MeanSquaredError& a) {
  VERACE_CHECK(a.count > 0);
  VERACE_CHECK(a.scratch != nullptr);
  const unsigned blocks = blocks_of(a.count);
  const auto kernel =
      simt::is_vector_aligned(a.a, a.b) ? squared_error_kernel<true> : squared_error_kernel<false>;
  simt::launch(kernel, {blocks, kThreads, 0, exec.stream}, static_cast<size_t>(a.count), a.a, a.b,
               a.scratch);
  simt::launch(total_kernel<double>, {1, kThreads, 0, exec.stream}, blocks, a.scratch,
               static_cast<double>(a.count), a.result);
}

template <typename T>
void count_non_finite(const Exec& exec, const CountNonFiniteOf<T>& a) {
  VERACE_CHECK(a.count >= 0 && a.scratch != nullptr);
  const unsigned blocks = blocks_of(a.count);
  const auto kernel = simt::is_vector_aligned(a.x) ? count_non_finite_kernel<true, T>
                                                   : count_non_finite_kernel<false, T>;
  simt::launch(kernel, {blocks, kThreads, 0, exec.stream}, static_cast<size_t>(a.count), a.x,
               a.scratch);
  simt::launch(total_kernel<int64_t>, {1, kThreads, 0, exec.stream}, blocks, a.scratch, int64_t{1},
               a.result);
}

template void count_non_finite(const Exec&, const CountNonFiniteOf<float>&);
template void count_non_finite(const Exec&, const CountNonFiniteOf<Half>&);
template void count_non_finite(const Exec&, const CountNonFiniteOf<BFloat16>&);

}  // namespace verace::kernels::cuda
