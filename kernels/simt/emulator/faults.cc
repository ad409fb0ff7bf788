// Counting runtime calls and failing every n-th, or one by name.
#include "kernels/simt/emulator/faults.h"

#include <cstdlib>

namespace verace::simt::emulator {
namespace {

uint64_t interval_from_environment() {
  const char* text = std::getenv("VERACE_SIMT_FAIL_EVERY");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

uint64_t& interval() {
  static uint64_t every = interval_from_environment();
  return every;
}

Faults& state() {
  static Faults counted{};
  return counted;
}

struct Planned {
  std::string call;
  cudaError_t error = cudaSuccess;
};
Planned& planned() {
  static Planned next;
  return next;
}

}  // namespace

void fail_next(const std::string& call, cudaError_t error) { planned() = {call, error}; }

void fail_every(uint64_t n) {
  interval() = n;
  state() = {};
}

const Faults& faults() { return state(); }

cudaError_t injected_fault(const char* call, cudaError_t error) {
  Faults& counted = state();
  ++counted.calls;
  if (planned().call == call) {
    ++counted.injected;
    counted.names.emplace_back(call);
    planned().call.clear();
    return planned().error;
  }
  if (interval() == 0 || counted.calls % interval() != 0) return cudaSuccess;
  ++counted.injected;
  counted.names.emplace_back(call);
  return error;
}

}  // namespace verace::simt::emulator
