// The choice of an operation's implementation by the device that it runs on.
//
// Apart from exec.h, because here builds with and without CUDA differ: what does not include this
// header is the same object in both, and the compiler's cache has it.
#pragma once

#include <memory>
#include <type_traits>

#include "kernels/check.h"
#include "kernels/exec.h"

// Set by CMake for all targets (cmake/verace_cuda.cmake).
#if !defined(VERACE_HAVE_CUDA)
#define VERACE_HAVE_CUDA 0
#endif

namespace verace::kernels {

// True when this build contains the cuda:: implementations (by nvcc, or emulated). A CPU-only build
// has neither stubs nor device sources.
inline constexpr bool have_cuda = VERACE_HAVE_CUDA;

// The one of two functions that exec.device, a host device, asks for; Error(kInternal) on kCuda.
template <typename Function>
Function* host_function(const Exec& exec, Function* cpu, Function* reference) {
  VERACE_CHECK(exec.device != DeviceKind::kCuda, "no CUDA implementation in this build");
  return exec.device == DeviceKind::kReference ? reference : cpu;
}

// Runs the implementation of one operation that exec.device asks for. `cuda` is a generic lambda
// around the cuda:: function, [](auto&... a) { cuda::NAME(a...); }, because the body of such a
// lambda is compiled only where it is called: a CPU-only build never refers to that function.
// Where Args has 16-bit storage (HostArgs is its float form), only kCuda can run it.
template <typename Args, typename HostArgs, typename Cuda>
void dispatch(const Exec& exec, const Args& args, void (*cpu)(const Exec&, const HostArgs&),
              void (*reference)(const Exec&, const HostArgs&), [[maybe_unused]] const Cuda& cuda) {
  if constexpr (have_cuda) {
    if (exec.device == DeviceKind::kCuda) return cuda(exec, args);
  }
  if constexpr (std::is_same_v<Args, HostArgs>) {
    host_function(exec, cpu, reference)(exec, args);
  } else {
    fail_check("exec.device == DeviceKind::kCuda", __FILE__, __LINE__,
               "16-bit storage exists on CUDA devices only");
  }
}

// The same for an operation that is planned first, for which each function returns a plan: Plan,
// or on host devices HostPlan (its float form).
template <typename Plan, typename HostPlan, typename... Args, typename Cuda>
std::unique_ptr<Plan> dispatch_plan(const Exec& exec,
                                    std::unique_ptr<HostPlan> (*cpu)(const Exec&, Args...),
                                    std::unique_ptr<HostPlan> (*reference)(const Exec&, Args...),
                                    [[maybe_unused]] const Cuda& cuda,
                                    const std::type_identity_t<Args>&... args) {
  if constexpr (have_cuda) {
    if (exec.device == DeviceKind::kCuda) return cuda(exec, args...);
  }
  if constexpr (std::is_same_v<Plan, HostPlan>) {
    return host_function(exec, cpu, reference)(exec, args...);
  } else {
    fail_check("exec.device == DeviceKind::kCuda", __FILE__, __LINE__,
               "16-bit storage exists on CUDA devices only");
  }
}

}  // namespace verace::kernels
