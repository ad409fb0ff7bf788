// for_each_device(): runs a test body on every device of this build; what is missing is named,
// never silent.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/exec.h"

namespace verace::test {

// The devices that tests run on: the CPU with one and with two threads, and the reference.
inline std::vector<kernels::Exec> devices() {
  return {{kernels::DeviceKind::kCpu, 1},
          {kernels::DeviceKind::kCpu, 2},
          {kernels::DeviceKind::kReference, 1}};
}

// Prints once per process that the CUDA cases did not run; VERACE_REQUIRE_CUDA=1 makes that a
// failure.
inline void note_skipped_devices() {
  static bool told = false;
  if (told || kernels::have_cuda) return;
  told = true;
  std::printf("SKIPPED cuda: this build has no CUDA operations\n");
  const char* required = std::getenv("VERACE_REQUIRE_CUDA");
  const bool cuda_missing = required != nullptr && std::string(required) == "1";
  CHECK_FALSE_MESSAGE(cuda_missing, "VERACE_REQUIRE_CUDA=1, but this build has no CUDA operations");
}

// Calls body(exec) for each device; a failing check inside names the device.
template <typename Body>
void for_each_device(Body&& body) {
  note_skipped_devices();
  for (const kernels::Exec& device : devices()) {
    const kernels::Exec exec = kernels::make_exec(device.device, device.threads);
    INFO("device ", std::string(kernels::to_string(exec.device)), ", threads ", exec.threads);
    body(exec);
  }
}

}  // namespace verace::test
