// Training runs on a CUDA device, for the tests of the whole device.
#pragma once

#include "tests/apps/training_support.h"
#include "tests/support/devices.h"

#if VERACE_EMULATED
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/live_objects.h"
#include "kernels/simt/emulator/options.h"
#endif

namespace verace::apps {

inline constexpr engine::DeviceChoice kGpu{kernels::DeviceKind::kCuda, 0};
inline constexpr const char* kLast = "last.safetensors";

// tiny_run() on a CUDA device.
inline TrainOptions tiny_cuda_run(const std::string& out,
                                  engine::Launch launch = engine::Launch::kGraph) {
  TrainOptions o = tiny_run(out);
  o.device = kGpu;
  o.launch = launch;
  return o;
}

// What goes on with the run in `folder`, on its device or on the one that is named.
inline TrainOptions resumed(const std::string& folder,
                            std::optional<engine::DeviceChoice> device = {}) {
  TrainOptions o;
  o.resume = std::filesystem::path(folder) / kLast;
  o.resume_device = device;
  o.quiet = true;
  return o;
}

}  // namespace verace::apps
