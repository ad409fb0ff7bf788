// Counting runtime calls and failing every n-th, or one by name, or all from one on.
#include "kernels/simt/emulator/faults.h"

#include <cstdlib>
#include <map>
#include <string_view>

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

std::map<std::string, uint64_t, std::less<>>& calls_by_name() {
  static std::map<std::string, uint64_t, std::less<>> counted;
  return counted;
}

struct Planned {
  std::string call;
  uint64_t left = 0;  // calls until it fails
  cudaError_t error = cudaSuccess;
  bool for_good = false, lost = false;
};

Planned from_environment() {
  const char* text = std::getenv("VERACE_SIMT_LOSE");
  if (text == nullptr) return {};
  const std::string_view words(text);
  const size_t colon = words.rfind(':');
  const char* number = colon == std::string_view::npos ? "1" : text + colon + 1;
  return {std::string(words.substr(0, colon)), std::strtoull(number, nullptr, 10),
          cudaErrorECCUncorrectable, true};
}

Planned& planned() {
  static Planned next = from_environment();
  return next;
}

cudaError_t counted_fault(const char* call, cudaError_t error) {
  ++state().injected;
  state().names.emplace_back(call);
  return error;
}

}  // namespace

void fail_call(const std::string& call, uint64_t n, cudaError_t error) {
  planned() = {call, n, error};
}

void lose_device(const std::string& call, uint64_t n, cudaError_t error) {
  planned() = {call, n, error, true};
}

void fail_every(uint64_t n) {
  interval() = n;
  state() = {};
}

const Faults& faults() { return state(); }

uint64_t calls_of(const std::string& call) {
  const auto found = calls_by_name().find(call);
  return found == calls_by_name().end() ? 0 : found->second;
}

cudaError_t injected_fault(const char* call, cudaError_t error) {
  ++state().calls;
  const auto by_name = calls_by_name().find(std::string_view(call));
  if (by_name == calls_by_name().end()) {
    calls_by_name()[call] = 1;
  } else {
    ++by_name->second;
  }
  Planned& plan = planned();
  if (plan.lost) return counted_fault(call, plan.error);
  if (plan.left > 0 && plan.call == call && --plan.left == 0) {
    plan.lost = plan.for_good;
    return counted_fault(call, plan.error);
  }
  if (interval() == 0 || state().calls % interval() != 0) return cudaSuccess;
  return counted_fault(call, error);
}

}  // namespace verace::simt::emulator
