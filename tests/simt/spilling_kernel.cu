// A kernel that needs more registers than its launch bounds leave it: scripts/device_code_report.py
// must say so. Never run.
#include "kernels/simt/launch.h"

namespace {

constexpr int kValues = 64;

// 1024 threads, two blocks to a multiprocessor: 32 registers for each.
__global__ void __launch_bounds__(1024, 2) spilling_kernel(const float* x, float* y) {
  float value[kValues];
#pragma unroll
  for (int i = 0; i < kValues; ++i) value[i] = x[i * 1024 + threadIdx.x];
#pragma unroll
  for (int i = 0; i < kValues; ++i) value[i] *= value[(i * 7 + 1) % kValues];
#pragma unroll
  for (int i = 0; i < kValues; ++i) y[i * 1024 + threadIdx.x] = value[i];
}

}  // namespace

namespace verace::test {
void start_spilling(const float* x, float* y) {
  simt::launch(spilling_kernel, {1, 1024, 0, nullptr}, x, y);
}
}  // namespace verace::test
