// for_each_device(): runs a test body on every device of this build; what is missing is named,
// never silent.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/exec.h"
#include "kernels/storage.h"
#include "tests/support/compare.h"
#include "tests/support/contents.h"
#include "tests/support/device_memory.h"
#include "tests/support/emulated.h"
#include "tests/support/faults.h"

namespace verace::test {

// The devices that tests run on: the CPU with one and with two threads, the reference, and CUDA
// where it can run. VERACE_TEST_DEVICES=cuda leaves out the others (scripts/mutate_kernels.py).
inline std::vector<kernels::Exec> devices() {
  std::vector<kernels::Exec> all;
  const char* wanted = std::getenv("VERACE_TEST_DEVICES");
  if (wanted == nullptr || std::string(wanted) != "cuda") {
    all = {{kernels::DeviceKind::kCpu, 1},
           {kernels::DeviceKind::kCpu, 2},
           {kernels::DeviceKind::kReference, 1}};
  }
  if (cuda_is_present()) all.push_back({kernels::DeviceKind::kCuda, 1});
  return all;
}

// Why the CUDA cases cannot run; a driver that does not answer is not the same as no device.
inline std::string why_no_cuda() {
#if VERACE_HAVE_CUDA
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  const std::string reason = "no CUDA device was found";
  return error == cudaSuccess ? reason : reason + " (" + cudaGetErrorString(error) + ")";
#else
  return "this build has no CUDA operations";
#endif
}

// Prints once per process that the CUDA cases did not run; VERACE_REQUIRE_CUDA=1 makes that a
// failure.
inline void note_skipped_devices() {
  static bool told = false;
  if (told || cuda_is_present()) return;
  told = true;
  const std::string reason = why_no_cuda();
  std::printf("SKIPPED cuda: %s\n", reason.c_str());
  const char* required = std::getenv("VERACE_REQUIRE_CUDA");
  const bool cuda_missing = required != nullptr && std::string(required) == "1";
  CHECK_FALSE_MESSAGE(cuda_missing, "VERACE_REQUIRE_CUDA=1, but ", reason);
}

// Calls body() under each of the emulator's five schedules, which must make no difference, or under
// the one that VERACE_SIMT_SCHEDULE names; once on all other devices.
template <typename Body>
void for_each_schedule(const kernels::Exec& exec, Body&& body) {
  const auto once = [&] {
    body();
    wait_for_device();
  };
  if (exec.device != kernels::DeviceKind::kCuda) return once();
  for_each_emulated_schedule([&](const char* name) {
    INFO("schedule ", std::string(name));
    once();
  });
}

// Calls body(exec) for each of `all` under each schedule; a failing check inside names both.
template <typename Body>
void for_each_device_of(const std::vector<kernels::Exec>& all, Body&& body) {
  note_skipped_devices();
  for (const kernels::Exec& device : all) {
    const kernels::Exec exec = kernels::make_exec(device.device, device.threads);
    INFO("device ", std::string(kernels::to_string(exec.device)), ", threads ", exec.threads);
    const ByKernels by_kernels(exec.device == kernels::DeviceKind::kCuda);
    for_each_schedule(exec, [&] {
      body(exec);
      expect_no_unwritten_looks();
    });
  }
}

// Calls body(exec) for each device.
template <typename Body>
void for_each_device(Body&& body) {
  for_each_device_of(devices(), body);
}

// True on the emulated device, which takes a hundred times as long as the CPU, five times over:
// tests leave out large shapes there that show nothing new.
inline bool is_slow(const kernels::Exec& exec) {
  return kernels::cuda_is_emulated && exec.device == kernels::DeviceKind::kCuda;
}

// Where a test lets the rest of its work run, for which CUDA has no implementation: on the CPU.
// Guarded memory serves both.
inline kernels::Exec on_host(const kernels::Exec& exec) {
  return exec.device == kernels::DeviceKind::kCuda ? kernels::Exec{} : exec;
}

// Calls body(exec) for the CPU and the reference: for operations that have no CUDA implementation,
// and for networks of them.
template <typename Body>
void for_each_host_device(Body&& body) {
  std::vector<kernels::Exec> all = devices();
  std::erase_if(
      all, [](const kernels::Exec& exec) { return exec.device == kernels::DeviceKind::kCuda; });
  for_each_device_of(all, body);
}

// Calls body(exec, T{}) for each device and each storage type T that it has: fp32 everywhere, fp16
// and bf16 on CUDA.
template <typename Body>
void for_each_device_and_storage(Body&& body) {
  for_each_device([&](const kernels::Exec& exec) {
    body(exec, float{});
    if constexpr (kernels::have_cuda) {
      if (exec.device != kernels::DeviceKind::kCuda) return;
      body(exec, kernels::Half{});
      body(exec, kernels::BFloat16{});
    }
  });
}

// Calls body(exec) for CUDA where it can run: for 16-bit storage, which only CUDA has.
template <typename Body>
void for_each_cuda_device(Body&& body) {
  std::vector<kernels::Exec> all;
  if (cuda_is_present()) all.push_back({kernels::DeviceKind::kCuda, 1});
  for_each_device_of(all, body);
}

// produce(exec), a container of numbers, must hold the same bits whatever the schedule, and in
// every run.
template <typename Produce>
Comparison always_same_bits(const kernels::Exec& exec, const Produce& produce) {
  const auto want = produce(exec);
  Comparison result = compare_bits(produce(exec), want);
  for_each_schedule(exec, [&] {
    if (result) result = compare_bits(produce(exec), want);
  });
  return result;
}

}  // namespace verace::test
