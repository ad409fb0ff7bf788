// The device's properties, and the rate of its memory.
#include "bench/kernels/laboratory/device_report.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <fstream>

#include "bench/kernels/laboratory/device_kernels.h"
#include "kernels/check.h"
#include "kernels/exec.h"

namespace verace::laboratory {
namespace {

int attribute(cudaDeviceAttr which) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, which, 0) != cudaSuccess) {
    cudaGetLastError();  // unknown to this driver
    return 0;
  }
  return value;
}

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// "NVRM version: NVIDIA UNIX ... Kernel Module  580.65.06  Sun Jul ...": the first word that is a
// version number.
std::string module_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    const bool number = word.find_first_not_of("0123456789.") == std::string::npos;
    if (number && word.find('.') != std::string::npos) return word;
  }
  return "";
}

}  // namespace

DeviceReport device_report() {
  DeviceReport r;
  r.emulated = kernels::cuda_is_emulated;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaDriverGetVersion(&r.driver);
    r.why = status != cudaSuccess ? cudaGetErrorString(status) : "the driver shows none";
    if (r.driver == 0) r.why = "NVIDIA's driver is not installed";
    return r;
  }
  cudaDeviceProp properties{};
  VERACE_CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  r.name = properties.name;
  if (!r.emulated) r.module = module_version();
  r.major = properties.major;
  r.minor = properties.minor;
  r.multiprocessors = properties.multiProcessorCount;
  r.memory_bytes = properties.totalGlobalMem;
  r.l2_bytes = attribute(cudaDevAttrL2CacheSize);
  r.clock_khz = attribute(cudaDevAttrClockRate);
  r.memory_clock_khz = attribute(cudaDevAttrMemoryClockRate);
  cudaDriverGetVersion(&r.driver);
  cudaRuntimeGetVersion(&r.runtime);
  size_t total = 0;
  cudaMemGetInfo(&r.free_bytes, &total);
  return r;
}

std::string text(const DeviceReport& r) {
  char line[400];
  std::snprintf(line, sizeof line,
                "device: %s, compute capability %d.%d, %d multiprocessors, %.1f GiB (%.1f free), "
                "L2 %.0f MiB, clocks %d / %d MHz, driver %s for CUDA %s, runtime %s",
                r.name.c_str(), r.major, r.minor, r.multiprocessors,
                static_cast<double>(r.memory_bytes) / (1 << 30),
                static_cast<double>(r.free_bytes) / (1 << 30),
                static_cast<double>(r.l2_bytes) / (1 << 20), r.clock_khz / 1000,
                r.memory_clock_khz / 1000, r.module.empty() ? "(unknown)" : r.module.c_str(),
                version(r.driver).c_str(), version(r.runtime).c_str());
  return line;
}

Roofline measure_roofline(Stopwatch& stopwatch) {
  // 512 MiB each: ten times the L2 of a Hopper.
  const size_t count = kernels::cuda_is_emulated ? 4096 : size_t{1} << 27;
  const size_t bytes = count * sizeof(float);
  const DeviceBytes a = device_bytes(bytes), b = device_bytes(bytes), c = device_bytes(bytes);
  for (std::byte* p : {a.get(), b.get(), c.get()}) overwrite(p, bytes, nullptr);
  wait_for_device();
  const auto* x = reinterpret_cast<const float*>(a.get());
  const auto* y = reinterpret_cast<const float*>(b.get());
  auto* z = reinterpret_cast<float*>(c.get());
  const auto rate = [&](double moved, const Statistic& s) { return moved / s.median * 1e-3; };
  Roofline r;
  const auto size = static_cast<double>(bytes);
  r.copy = rate(2 * size, stopwatch.cold([&](CUstream_st* s) { copy(x, z, count, s); }));
  r.triad = rate(3 * size, stopwatch.cold([&](CUstream_st* s) { triad(x, y, z, count, s); }));
  r.empty = stopwatch.cold([](CUstream_st* s) { empty(s); });
  return r;
}

}  // namespace verace::laboratory
