// Memory from the CUDA runtime.
#include "engine/memory_cuda.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/check_cuda.h"
#include "kernels/format.h"

namespace verace::engine::cuda {
namespace {

[[noreturn]] void fail_memory(int64_t bytes, MemoryKind kind) {
  const auto mb = [](auto b) { return static_cast<double>(b) / 1e6; };
  if (kind == MemoryKind::kPinned) {
    throw OutOfMemory(
        text::format("not enough memory: {:.1f} MB of pinned host memory are needed on top of "
                     "{:.1f} MB; use a smaller --batch",
                     mb(bytes), mb(memory_use(kind).current)),
        bytes, kind);
  }
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
  // Free memory may be in pieces, none of which is large enough.
  const int64_t missing = std::max<int64_t>(bytes - static_cast<int64_t>(free), 1);
  throw OutOfMemory(
      text::format("not enough memory on the GPU: {:.1f} MB more are needed on top of {:.1f} MB in "
                   "use, but {:.1f} of {:.1f} MB are free, {} bytes ({:.1f} MB) are missing; use a "
                   "smaller --batch, or free memory that other programs hold",
                   mb(bytes), mb(memory_use(kind).current), mb(free), mb(total), missing,
                   mb(missing)),
      missing, MemoryKind::kDevice);
}

}  // namespace

int64_t free_memory() {
  size_t free = 0, total = 0;
  VERACE_CUDA(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

std::byte* allocate(int64_t bytes, MemoryKind kind, Contents contents) {
  void* p = nullptr;
  const auto size = static_cast<size_t>(bytes);
  const cudaError_t error =
      kind == MemoryKind::kPinned ? cudaMallocHost(&p, size) : cudaMalloc(&p, size);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is no failure of the device
    fail_memory(bytes, kind);
  }
  kernels::check_cuda(error, "allocating memory", __FILE__, __LINE__);
  if (contents == Contents::kUndefined) return static_cast<std::byte*>(p);
  try {
    if (kind == MemoryKind::kPinned) {
      std::fill_n(static_cast<std::byte*>(p), bytes, std::byte{0});
    } else {
      VERACE_CUDA(cudaMemset(p, 0, size));
      // A stream of our own would not wait for it.
      VERACE_CUDA(cudaStreamSynchronize(nullptr));
    }
  } catch (...) {
    release(static_cast<std::byte*>(p), kind);
    throw;
  }
  return static_cast<std::byte*>(p);
}

void release(std::byte* p, MemoryKind kind) noexcept {
  cudaDeviceSynchronize();
  if (kind == MemoryKind::kPinned) {
    cudaFreeHost(p);
  } else {
    cudaFree(p);
  }
}

}  // namespace verace::engine::cuda
