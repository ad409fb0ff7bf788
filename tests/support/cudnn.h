// Whether cuDNN's library is there, for tests of what needs it; where it is not, that is said by
// name.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/check.h"

#if VERACE_HAVE_CUDA && !VERACE_EMULATED
#include "kernels/cudnn/library.h"
#endif

namespace verace::test {

// Why the library cannot be loaded; empty where it can be, and where the emulator stands in for it.
inline std::string why_no_cudnn() {
#if VERACE_HAVE_CUDA && !VERACE_EMULATED
  try {
    kernels::cudnn::library();
  } catch (const Error& error) {
    return error.what();
  }
#endif
  return "";
}

// Says that `what` did not run for want of cuDNN, or of something that cuDNN needs;
// VERACE_REQUIRE_CUDNN=1 makes that a failure.
inline void skip_without_cudnn(const std::string& what, const std::string& reason) {
  std::printf("SKIPPED %s: %s\n", what.c_str(), reason.c_str());
  const char* required = std::getenv("VERACE_REQUIRE_CUDNN");
  const bool cudnn_missing = required != nullptr && std::string(required) == "1";
  CHECK_FALSE_MESSAGE(cudnn_missing, "VERACE_REQUIRE_CUDNN=1, but ", reason);
}

}  // namespace verace::test
