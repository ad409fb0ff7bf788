// Memory that a test and every device of its build can use, and waiting for the device before the
// test looks at it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "kernels/check.h"
#include "kernels/exec.h"

#if VERACE_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace verace::test {

// True when the cuda:: operations of this build can run here: always where they are emulated.
inline bool cuda_is_present() {
#if VERACE_HAVE_CUDA
  static const bool present = [] {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  }();
  return present;
#else
  return false;
#endif
}

// Blocks until all enqueued work is done; a kernel that failed makes the test fail here.
inline void wait_for_device() {
#if VERACE_HAVE_CUDA
  if (!cuda_is_present()) return;
  const cudaError_t error = cudaDeviceSynchronize();
  VERACE_CHECK(error == cudaSuccess, cudaGetErrorString(error));
#endif
}

// Frees what allocate_shared() returned.
struct FreeShared {
  void operator()(std::byte* p) const noexcept {
#if VERACE_HAVE_CUDA
    if (cuda_is_present()) {
      cudaDeviceSynchronize();
      cudaFree(
          p);  // NOLINT(cuda-malloc): tests reach memory from both sides, the engine never does
      return;
    }
#endif
    ::operator delete(p, std::align_val_t(64));
  }
};
using SharedBytes = std::unique_ptr<std::byte, FreeShared>;

// `bytes` bytes on a 64-byte boundary: managed memory when a CUDA device takes part, else plain.
inline SharedBytes allocate_shared(size_t bytes) {
#if VERACE_HAVE_CUDA
  if (cuda_is_present()) {
    void* p = nullptr;
    const cudaError_t error =
        cudaMallocManaged(&p, bytes, cudaMemAttachGlobal);  // NOLINT(cuda-malloc): as above
    VERACE_CHECK(error == cudaSuccess, cudaGetErrorString(error));
    return SharedBytes(static_cast<std::byte*>(p));
  }
#endif
  return SharedBytes(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(64))));
}

}  // namespace verace::test
