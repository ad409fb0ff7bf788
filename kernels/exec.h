// What an operation runs on: the device kind and its threads; the CUDA stream and library handles
// join here.
#pragma once

#include <cstdint>
#include <string>

namespace verace::kernels {

// kCpu: oneDNN and OpenMP loops. kReference: plain readable loops with double accumulators, slow on
// purpose. kCuda has no operations in this build yet.
enum class DeviceKind { kCpu, kReference };

// True when this build contains the cuda:: implementations. Dispatchers ask `if constexpr
// (have_cuda)`, so a CPU-only build needs neither stubs nor macros.
inline constexpr bool have_cuda = false;

struct Exec {
  DeviceKind device = DeviceKind::kCpu;
  int threads = 1;  // number of threads that parallel loops use, >= 1; results never depend on it
};

// "cpu", "reference".
const char* to_string(DeviceKind device);

// An Exec for `device` with `threads` threads; 0 means one per available processor. oneDNN and
// OpenMP are told as well, so one process uses one number.
Exec make_exec(DeviceKind device, int threads = 0);

// What a gradient operation does with its parameter gradient (design.md 3): leave it alone
// (frozen), write it, or add to what is there (gradient accumulation over several batches).
enum class GradMode { kSkip, kOverwrite, kAccumulate };

// Chooses the implementation of one operation by exec.device.
template <typename Args>
void dispatch(const Exec& exec, const Args& args, void (*cpu)(const Exec&, const Args&),
              void (*reference)(const Exec&, const Args&)) {
  (exec.device == DeviceKind::kReference ? reference : cpu)(exec, args);
}

}  // namespace verace::kernels
