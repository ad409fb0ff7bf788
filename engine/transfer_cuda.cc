// Copies by the CUDA runtime.
#include "engine/transfer_cuda.h"

#include <cuda_runtime_api.h>

#include "engine/cuda_check.h"

namespace verace::engine::cuda {
namespace {

cudaMemcpyKind kind(Way way) {
  return way == Way::kToDevice ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
}

}  // namespace

void copy(CUstream_st* stream, void* to, const void* from, int64_t bytes, Way way) {
  check_cuda(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind(way), stream),
             "cudaMemcpyAsync");
}

void copy_now(void* to, const void* from, int64_t bytes, Way way) {
  // Streams of our own do not order themselves with the default stream, on which cudaMemcpy works.
  check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check_cuda(cudaMemcpy(to, from, static_cast<size_t>(bytes), kind(way)), "cudaMemcpy");
  check_cuda(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

void fill_zero(CUstream_st* stream, void* p, int64_t bytes) {
  check_cuda(cudaMemsetAsync(p, 0, static_cast<size_t>(bytes), stream), "cudaMemsetAsync");
}

void wait(CUstream_st* stream) {
  check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

}  // namespace verace::engine::cuda
