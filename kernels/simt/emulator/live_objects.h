// What the emulated device still holds, and why a kernel was stopped: for tests.
#pragma once

#include <cstddef>
#include <string>

namespace verace::simt::emulator {

// All zero when a program has released what it made.
struct LiveObjects {
  size_t allocations, bytes, streams, events, graphs;
};
LiveObjects live_objects();

// The message of the kernel that made a waiting call return cudaErrorLaunchFailure (a lazy stream
// runs kernels long after their launch); empty when there is none. Forgets it.
std::string take_kernel_failure();

}  // namespace verace::simt::emulator
