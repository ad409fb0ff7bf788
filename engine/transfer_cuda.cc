// Copies by the CUDA runtime.
#include "engine/transfer_cuda.h"

#include <cuda_runtime_api.h>

#include "kernels/check_cuda.h"

namespace verace::engine::cuda {
namespace {

cudaMemcpyKind kind(Way way) {
  switch (way) {
    case Way::kToDevice:
      return cudaMemcpyHostToDevice;
    case Way::kToHost:
      return cudaMemcpyDeviceToHost;
    case Way::kWithin:
      break;
  }
  return cudaMemcpyDeviceToDevice;
}

}  // namespace

void copy(CUstream_st* stream, void* to, const void* from, int64_t bytes, Way way) {
  VERACE_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind(way), stream));
}

void copy_now(void* to, const void* from, int64_t bytes, Way way) {
  // Streams of our own do not order themselves with the default stream, on which cudaMemcpy works.
  VERACE_CUDA(cudaDeviceSynchronize());
  VERACE_CUDA(cudaMemcpy(to, from, static_cast<size_t>(bytes), kind(way)));
  VERACE_CUDA(cudaStreamSynchronize(nullptr));
}

void fill_zero(CUstream_st* stream, void* p, int64_t bytes) {
  VERACE_CUDA(cudaMemsetAsync(p, 0, static_cast<size_t>(bytes), stream));
}

void wait(CUstream_st* stream) { VERACE_CUDA(cudaStreamSynchronize(stream)); }

}  // namespace verace::engine::cuda
