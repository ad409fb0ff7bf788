// A kernel that needs more registers than its launch bounds leave it, and 400 bytes of shared
// memory; another that is well but for the function that it calls: scripts/device_code_report.py
// must say so. Never run.
#include "kernels/simt/launch.h"

namespace {

constexpr int kValues = 64;

// 1024 threads, two blocks to a multiprocessor: 32 registers for each.
__global__ void __launch_bounds__(1024, 2) spilling_kernel(const float* x, float* y) {
  __shared__ float first[100];
  if (threadIdx.x < 100) first[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  float value[kValues];
#pragma unroll
  for (int i = 0; i < kValues; ++i) value[i] = x[i * 1024 + threadIdx.x];
#pragma unroll
  for (int i = 0; i < kValues; ++i) value[i] *= value[(i * 7 + 1) % kValues];
#pragma unroll
  for (int i = 0; i < kValues; ++i) y[i * 1024 + threadIdx.x] = value[i] + first[i];
}

__device__ __noinline__ float looked_up(const float* x, unsigned at) {
  float table[kValues];  // in local memory, because the index is known at run time only
  for (int i = 0; i < kValues; ++i) table[(i + at) % kValues] = x[i];
  return table[at % kValues] + table[(at + 5) % kValues];
}

__global__ void __launch_bounds__(256) calling_kernel(const float* x, float* y) {
  y[threadIdx.x] = looked_up(x, threadIdx.x);
}

}  // namespace

namespace verace::test {
void start_spilling(const float* x, float* y) {
  simt::launch(spilling_kernel, {1, 1024, 0, nullptr}, x, y);
  simt::launch(calling_kernel, {1, 256, 0, nullptr}, x, y);
}
}  // namespace verace::test
