// Checking calls of the CUDA runtime.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::engine {

// Throws Error(kInternal) that names the call and CUDA's reason, unless it succeeded.
inline void check_cuda(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  fail_check("CUDA", __FILE__, __LINE__, text::format("{}: {}", call, cudaGetErrorString(error)));
}

}  // namespace verace::engine
