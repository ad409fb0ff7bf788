// Whether cuBLASLt's library is there, for tests of matrix products on a GPU; where it is not, that
// is said by name.
#pragma once

#include <errno.h>

#include <string>
#include <vector>

#include "tests/support/cudnn.h"
#include "tests/support/devices.h"

#if VERACE_HAVE_CUDA && !VERACE_EMULATED
#include "kernels/cublas/library.h"
#endif

namespace verace::test {

// Why the library cannot be loaded; empty where it can be, and where the emulator stands in for it.
inline std::string why_no_cublas() {
#if VERACE_HAVE_CUDA && !VERACE_EMULATED
  try {
    kernels::cublas::functions();
  } catch (const Error& error) {
    return error.what();
  }
#endif
  return "";
}

// Whether matrix products can run on CUDA here: not on a GPU without cuBLASLt, which is told once.
inline bool have_cuda_gemm() {
  static const bool have = [] {
    if (!cuda_is_present()) return false;
    const std::string reason = why_no_cublas();
    if (reason.empty()) return true;
    skip_without_cudnn(std::string(program_invocation_short_name) + " [cuda]", reason);
    return false;
  }();
  return have;
}

// As for_each_device.
template <typename Body>
void for_each_gemm_device(Body&& body) {
  std::vector<kernels::Exec> all = devices();
  std::erase_if(all, [](const kernels::Exec& exec) {
    return exec.device == kernels::DeviceKind::kCuda && !have_cuda_gemm();
  });
  for_each_device_of(all, body);
}

// As for_each_cuda_device.
template <typename Body>
void for_each_cuda_gemm_device(Body&& body) {
  std::vector<kernels::Exec> all;
  if (have_cuda_gemm()) all.push_back({kernels::DeviceKind::kCuda, 1});
  for_each_device_of(all, body);
}

}  // namespace verace::test
