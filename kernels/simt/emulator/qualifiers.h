// What CUDA's keywords mean when g++ compiles a kernel: ours in place of those of NVIDIA's
// host_defines.h, which without nvcc makes all of them empty.
#pragma once

#include <cuda_runtime_api.h>

#undef __shared__
#undef __global__
#undef __launch_bounds__

// Whether kernels are compiled with AddressSanitizer. Also where the file itself is not: the thread
// scheduler goes without (kernels/CMakeLists.txt).
#if defined(__SANITIZE_ADDRESS__) || defined(VERACE_SIMT_ASAN)
#define SIMT_ASAN 1
#else
#define SIMT_ASAN 0
#endif

// Sanitizer builds run all blocks on one OS thread, so that a shared array can be an ordinary
// static: AddressSanitizer puts red zones round statics but not round thread-local variables, and
// the access checker knows where statics lie.
#if SIMT_ASAN || VERACE_SIMT_CHECK
#define SIMT_ONE_OS_THREAD 1
#if VERACE_SIMT_CHECK
// Beside each shared array lies a gap: an access past the array's end does not fall into the next,
// and the gap tells the checker which of a program's statics are shared arrays.
#define SIMT_GAP_OF_LINE(line) simt_gap_##line
#define SIMT_GAP(line) SIMT_GAP_OF_LINE(line)
#define __shared__                                                           \
  [[maybe_unused]] static __attribute__((used)) char SIMT_GAP(__LINE__)[64]; \
  static
#else
#define __shared__ static
#endif
#else
#define SIMT_ONE_OS_THREAD 0
#define __shared__ static thread_local
#endif

#define __launch_bounds__(...)

// g++ does not report the store of a call's result (`*p = f()`) to the access checker; with every
// call inlined there is none.
#if VERACE_SIMT_CHECK
#define __global__ __attribute__((flatten))
#else
#define __global__
#endif

// The caller's place, as two more parameters.
#define SIMT_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// Code of the emulator inside a kernel's source file: its own accesses are not the kernel's.
#define SIMT_UNCHECKED __attribute__((no_sanitize("thread")))
