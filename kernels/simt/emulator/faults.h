// The fault injector of the runtime stand-in: lets runtime calls fail on purpose.
#pragma once

#include <driver_types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace verace::simt::emulator {

// From now on every n-th runtime call (launches included) fails; 0: none. Counting starts anew.
// Calls that release something do so and then report the error. VERACE_SIMT_FAIL_EVERY=N in the
// environment sets it from the start.
void fail_every(uint64_t n);

// The n-th call of this name ("cudaStreamSynchronize", or "simt::launch" for kernels) from now on
// fails with `error`; later ones do not. An empty name: none does. Replaces what was asked before.
void fail_call(const std::string& call, uint64_t n, cudaError_t error);
inline void fail_next(const std::string& call, cudaError_t error) { fail_call(call, 1, error); }

// The device is lost at the n-th call of this name: this call and all later ones of any name fail
// with `error`, until the next fail_call(). VERACE_SIMT_LOSE=CALL:N in the environment does so from
// the start, with cudaErrorECCUncorrectable.
void lose_device(const std::string& call, uint64_t n, cudaError_t error);

struct Faults {
  uint64_t calls;                  // since fail_every()
  uint64_t injected;               // of which failed on purpose
  std::vector<std::string> names;  // of those, in order
};
const Faults& faults();

// How often this process has made the call.
uint64_t calls_of(const std::string& call);

// Counts a call; returns the error that it has to report, cudaSuccess if it may go on.
cudaError_t injected_fault(const char* call, cudaError_t error = cudaErrorUnknown);

}  // namespace verace::simt::emulator
