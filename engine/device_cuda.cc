// What CUDA's runtime, the loader and the driver's kernel module say of this machine's devices.
#include "engine/device_cuda.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cctype>
#include <cstdlib>
#include <fstream>

#include "engine/cuda_facts.h"
#include "kernels/check.h"
#include "kernels/check_cuda.h"
#include "kernels/dynamic_library.h"
#include "kernels/exec.h"
#include "kernels/format.h"

namespace verace::engine {
namespace {

// The library that CUDA's runtime loads; the linker never sees it.
constexpr const char* kDriverLibrary = "libcuda.so.1";

// Empty when the driver's library loads.
std::string driver_library_problem() {
  if (dlopen(kDriverLibrary, RTLD_NOW | RTLD_LOCAL) != nullptr) return "";  // it stays loaded
  const char* text = dlerror();
  return text == nullptr ? std::string(kDriverLibrary) + " does not load" : one_line(text);
}

// "580.95.05", out of what the kernel module writes: "NVRM version: NVIDIA UNIX x86_64 Kernel
// Module  580.95.05  ...", for the open one with "Open" and "for x86_64".
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    const bool digits = !word.empty() && word.find_first_not_of("0123456789.") == std::string::npos;
    if (digits && word.find('.') != std::string::npos) return word;
  }
  return "";
}

// "9.19.0" of 91900: cuDNN and cuBLASLt count alike.
std::string library_version(size_t version) {
  return text::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

// `name`: "cuDNN 9", with the version that the file's name has.
CudaLibraryFacts library(const std::string& name, const std::string& file,
                         const char* version_function) {
  CudaLibraryFacts facts;
  facts.name = name.substr(0, name.find(' '));
  try {
    const kernels::DynamicLibrary loaded(name, file, kernels::cuda_library_folders());
    facts.version = library_version(loaded.function<size_t()>(version_function)());
    facts.path = loaded.path();
  } catch (const Error& error) {
    facts.problem = error.what();
  }
  return facts;
}

CudaDeviceFacts device(int index, bool thorough) {
  CudaDeviceFacts facts;
  try {
    cudaDeviceProp properties{};
    VERACE_CUDA(cudaGetDeviceProperties(&properties, index));
    facts.name = properties.name;
    facts.major = properties.major;
    facts.minor = properties.minor;
    facts.memory_total = static_cast<int64_t>(properties.totalGlobalMem);
    if (thorough) {
      use_cuda_device(index);
      facts.memory_free = cuda_memory().free;
    }
  } catch (const Error& error) {
    facts.problem = error.what();
  }
  return facts;
}

void count_devices(CudaFacts& facts, bool thorough) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) {
    facts.driver_too_old = true;
  } else if (error != cudaSuccess && error != cudaErrorNoDevice) {
    facts.count_problem = kernels::cuda_error_text(error);
  }
  if (error != cudaSuccess) return;
  int current = 0;
  VERACE_CUDA(cudaGetDevice(&current));
  for (int i = 0; i < count; ++i) facts.devices.push_back(device(i, thorough));
  // Refused where another process holds the device for itself alone: that is in its `problem`.
  if (thorough && count > 0 && cudaSetDevice(current) != cudaSuccess) cudaGetLastError();
}

}  // namespace

void use_cuda_device(int index) { VERACE_CUDA(cudaSetDevice(index)); }

std::string cuda_device_name(int index) {
  cudaDeviceProp properties{};
  VERACE_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties.name;
}

CudaMemory cuda_memory() {
  size_t free = 0, total = 0;
  VERACE_CUDA(cudaMemGetInfo(&free, &total));
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

CudaFacts cuda_facts(bool thorough) {
  CudaFacts facts;
  facts.compiled = true;
  facts.emulated = kernels::cuda_is_emulated;
  facts.oldest = VERACE_CUDA_ARCHITECTURE;
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"); visible != nullptr) {
    facts.visible = visible;
    facts.visible_set = true;
  }
  VERACE_CUDA(cudaRuntimeGetVersion(&facts.runtime_version));
  if (!facts.emulated) {
    facts.driver_problem = driver_library_problem();
    facts.driver = driver_version();
  }
  if (facts.driver_problem.empty()) {
    if (cudaDriverGetVersion(&facts.driver_version) != cudaSuccess) cudaGetLastError();
    count_devices(facts, thorough);
  }
  if (!facts.emulated && (thorough || !facts.devices.empty())) {
    facts.cudnn = library("cuDNN 9", "libcudnn.so.9", "cudnnGetVersion");
    // As kernels/cublas/library.cc names it: by the toolkit that it was compiled with.
    const int major = CUDART_VERSION / 1000;
    facts.cublaslt = library(text::format("cuBLASLt {}", major),
                             text::format("libcublasLt.so.{}", major), "cublasLtGetVersion");
  }
  return facts;
}

}  // namespace verace::engine
