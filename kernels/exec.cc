// Making an Exec.
#include "kernels/exec.h"

#include <omp.h>

#include "kernels/check.h"

#if !defined(VERACE_EMULATED)
#define VERACE_EMULATED 0
#endif

namespace verace::kernels {

const bool cuda_is_emulated = VERACE_EMULATED;

const char* to_string(DeviceKind device) {
  switch (device) {
    case DeviceKind::kCpu:
      return "cpu";
    case DeviceKind::kReference:
      return "reference";
    case DeviceKind::kCuda:
      break;
  }
  return cuda_is_emulated ? "cuda (emulated)" : "cuda";
}

Exec make_exec(DeviceKind device, int threads) {
  VERACE_CHECK(threads >= 0);
  if (threads == 0) threads = omp_get_num_procs();
  omp_set_num_threads(threads);
  return {device, threads, nullptr};
}

}  // namespace verace::kernels
