// Device code of which a bug and its look-alike are two instances.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/simt/launch.h"
#include "tests/simt/device_buffer.h"
#include "tests/simt/planted.h"
#include "tests/support/guarded.h"

namespace verace::test {

inline constexpr unsigned kAllLanes = 0xffffffffu;

// Each block reverses its 256 numbers.
template <bool Barrier>
__global__ void reverse_kernel(const float* x, float* y) {
  __shared__ float tile[256];
  tile[threadIdx.x] = x[blockIdx.x * 256 + threadIdx.x];
  if (Barrier) __syncthreads();
  y[blockIdx.x * 256 + threadIdx.x] = tile[255 - threadIdx.x];
}

// The sum over a block of 256 threads. Without the second barrier the next call overwrites `parts`
// while slower threads still read it.
template <bool SecondBarrier>
__device__ float block_sum_of(float value, float* parts) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0.0f;
  for (int i = 0; i < 8; ++i) sum += parts[i];
  if (SecondBarrier) __syncthreads();
  return sum;
}

// y = the sum of squared deviations from the mean.
template <bool SecondBarrier>
__global__ void deviation_kernel(const float* x, float* y) {
  __shared__ float parts[8];
  const float value = x[threadIdx.x];
  const float deviation = value - block_sum_of<SecondBarrier>(value, parts) / 256.0f;
  y[threadIdx.x] = block_sum_of<SecondBarrier>(deviation * deviation, parts);
}

template <bool Barrier>
__global__ void tree_sum_kernel(const float* x, float* y) {
  __shared__ float tree[256];
  tree[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) tree[threadIdx.x] += tree[threadIdx.x + half];
    if (Barrier) __syncthreads();
  }
  if (threadIdx.x == 0) y[0] = tree[0];
}

// How the lanes of a warp are kept in step between writing and reading their neighbour's number.
enum class InStep { kNot, kShuffle, kSyncwarp };
template <InStep How>
__global__ void swap_neighbours_kernel(const float* x, float* y) {
  __shared__ float tile[32];
  tile[threadIdx.x] = x[threadIdx.x];
  float zero = 0.0f;
  if (How == InStep::kShuffle) zero = __shfl_xor_sync(kAllLanes, 0.0f, 1);
  if (How == InStep::kSyncwarp) __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x ^ 1] + zero;
}

// The last block to finish adds up the parts of all.
template <bool Fence>
__global__ void last_block_kernel(const float* x, float* parts, unsigned* ticket, float* y) {
  __shared__ float shared_parts[8];
  __shared__ bool is_last;
  const float sum = block_sum_of<true>(x[blockIdx.x * 256 + threadIdx.x], shared_parts);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sum;
    if (Fence) __threadfence();
    is_last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (is_last && threadIdx.x == 0) {
    float all = 0.0f;
    for (unsigned i = 0; i < gridDim.x; ++i) all += parts[i];
    y[0] = all;
  }
}

// The same by blocks of one warp, whose lanes hand in parts of their own. Without __syncwarp lane
// 0's fence covers what lane 0 wrote only: a shuffle orders nothing.
template <bool Syncwarp>
__global__ void last_warp_kernel(const float* x, float* parts, unsigned* ticket, float* y) {
  const unsigned i = blockIdx.x * 32 + threadIdx.x;
  const float value = x[i];
  parts[i] = value + 0.0f * __shfl_xor_sync(kAllLanes, value, 1);
  if (Syncwarp) __syncwarp();
  if (threadIdx.x != 0) return;
  __threadfence();
  if (atomicAdd(ticket, 1u) != gridDim.x - 1) return;
  float all = 0.0f;
  for (unsigned k = 0; k < gridDim.x * 32; ++k) all += parts[k];
  y[0] = all;
}

// y[i] = x[i] for i < n; Step further reads past the end.
template <int Step>
__global__ void copy_kernel(const float* x, float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = x[i] + (Step == 0 ? 0.0f : 0.0f * x[i + Step]);
}

// Four at a time; without the tail the last, partial four are written whole.
template <bool Tail>
__global__ void copy_fours_kernel(const float* x, float* y, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < n / 4 || (!Tail && i * 4 < n)) {
    reinterpret_cast<float4*>(y)[i] = reinterpret_cast<const float4*>(x)[i];
  } else if (Tail && i - n / 4 < n % 4) {
    y[n / 4 * 4 + i - n / 4] = x[n / 4 * 4 + i - n / 4];
  }
}

// Reverses 256 numbers through dynamic shared memory.
inline __global__ void reverse_dynamic_kernel(const float* x, float* y) {
  SIMT_DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[255 - threadIdx.x];
}

// ---- what they should compute -------------------------------------------------------------------

inline std::vector<float> reversed(const std::vector<float>& x) {
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i / 256 * 256 + 255 - i % 256];
  return y;
}

inline float sum_of(const std::vector<float>& x) {
  double sum = 0.0;
  for (const float v : x) sum += double{v};
  return static_cast<float>(sum);
}

inline Outcome run_reverse(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(1024);
  const DeviceBuffer<float> from(x), to(1024);
  simt::launch(kernel, {4, 256, 0, nullptr}, from.data(), to.data());
  return {to.copy(), reversed(x)};
}

inline Outcome run_deviation(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), to(256);
  simt::launch(kernel, {1, 256, 0, nullptr}, from.data(), to.data());
  const double mean = double{sum_of(x)} / 256.0;
  double sum = 0.0;
  for (const float v : x) sum += (double{v} - mean) * (double{v} - mean);
  return {to.copy(), std::vector<float>(256, static_cast<float>(sum))};
}

inline Outcome run_tree_sum(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), to(1);
  simt::launch(kernel, {1, 256, 0, nullptr}, from.data(), to.data());
  return {to.copy(), {sum_of(x)}};
}

inline Outcome run_swap(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(32);
  std::vector<float> want(32);
  for (size_t i = 0; i < 32; ++i) want[i] = x[i ^ 1];
  const DeviceBuffer<float> from(x), to(32);
  simt::launch(kernel, {1, 32, 0, nullptr}, from.data(), to.data());
  return {to.copy(), want};
}

inline Outcome run_last_block(void (*kernel)(const float*, float*, unsigned*, float*)) {
  const std::vector<float> x = numbers(2048);
  const DeviceBuffer<float> from(x), parts(8), to(1);
  const DeviceBuffer<unsigned> ticket(std::vector<unsigned>(9, 0));
  simt::launch(kernel, {8, 256, 0, nullptr}, from.data(), parts.data(), ticket.data(), to.data());
  return {to.copy(), {sum_of(x)}};
}

inline Outcome run_last_warp(void (*kernel)(const float*, float*, unsigned*, float*)) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), parts(256), to(1);
  const DeviceBuffer<unsigned> ticket(std::vector<unsigned>{0});
  simt::launch(kernel, {8, 32, 0, nullptr}, from.data(), parts.data(), ticket.data(), to.data());
  return {to.copy(), {sum_of(x)}};
}

inline Outcome run_copy_fours(void (*kernel)(const float*, float*, int)) {
  const std::vector<float> x = numbers(61);
  const DeviceBuffer<float> from(x), to(61);
  simt::launch(kernel, {1, 32, 0, nullptr}, from.data(), to.data(), 61);
  return {to.copy(), x};
}

// Through memory that both sides reach; of its last part only the first `written` elements are
// written.
inline Outcome run_managed(const Guarded<float>& from, Guarded<float>& between, Guarded<float>& to,
                           int written) {
  simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, from.data(), between.data(), 256);
  const float* const x = between.data();
  simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, x, to.data(), written);
  const Outcome outcome{to.copy(), numbers(256)};
  const size_t looks = std::exchange(contents().unwritten_looks, 0);
  if (looks > 0) {
    throw std::runtime_error(std::to_string(looks) + " elements that nothing had written");
  }
  return outcome;
}

}  // namespace verace::test
