// Small kernels for the tests of the emulator.
#include "tests/simt/emulator_kernels.h"

#include "kernels/simt/launch.h"

namespace verace::test {
namespace {

__global__ void __launch_bounds__(256) block_sum_kernel(const float* x, float* y, int n) {
  __shared__ float parts[8];
  float sum = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 256) sum += x[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < 8; ++i) sum += parts[i];
    *y = sum;
  }
}

}  // namespace

void block_sum(const float* x, float* y, int n, cudaStream_t stream) {
  simt::launch(block_sum_kernel, {1, 256, 0, stream}, x, y, n);
}

}  // namespace verace::test
