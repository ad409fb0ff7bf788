// Runs a launch: checks its shape, then its blocks in the schedule's order, on several OS threads
// where no sanitizer forbids it.
#pragma once

#include "kernels/simt/emulator/core.h"

namespace verace::simt::emulator {

// Why a device of compute capability 9.0 would refuse this shape; empty when it would not.
// `allowed_dynamic_shared`: what the kernel may ask for (48 KiB unless it was allowed more).
const char* shape_error(const Shape& shape, size_t allowed_dynamic_shared);

// Runs all blocks to their end. Throws verace::Error when a check inside the kernel fails.
void run_grid(const Launch& launch);

inline constexpr size_t kDefaultDynamicShared = 48 * 1024;
inline constexpr size_t kMostDynamicShared = 227 * 1024;

}  // namespace verace::simt::emulator
