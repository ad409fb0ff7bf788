// Small kernels behind plain functions, for the tests of the emulator: sums, votes, shuffles.
#pragma once
#include <cuda_runtime_api.h>
namespace verace::test {
// y[0] = the sum of x [n], by one block of 256 threads: shuffles, shared memory, barriers.
void block_sum(const float* x, float* y, int n, cudaStream_t stream = nullptr);
}  // namespace verace::test
