// The runtime stand-in's device: one of compute capability 9.0, its properties, its errors.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>

#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/grid.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/runtime.h"

using verace::simt::emulator::kDefaultDynamicShared;
using verace::simt::emulator::kMostDynamicShared;
using verace::simt::emulator::options;
using verace::simt::emulator::report;

namespace {

// Few, so that a launch which fills the device is still cheap here, and not a power of two.
constexpr int kMultiprocessors = 6;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText& find(cudaError_t error) {
  for (const ErrorText& entry : kErrors) {
    if (entry.error == error) return entry;
  }
  static constexpr ErrorText kOther{cudaErrorUnknown, "cudaError", "error (emulated device)"};
  return kOther;
}

}  // namespace

extern "C" {

cudaError_t cudaGetLastError() {
  auto& runtime = verace::simt::emulator::Runtime::get();
  const cudaError_t error = runtime.last_error;
  runtime.last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return verace::simt::emulator::Runtime::get().last_error; }
// Of a kernel that was stopped it also says why.
const char* cudaGetErrorString(cudaError_t error) {
  const std::string& why = verace::simt::emulator::Runtime::get().kernel_failure;
  if (error != cudaErrorLaunchFailure || why.empty()) return find(error).text;
  static std::string text;
  text = std::string(find(error).text) + ": " + why;
  return text.c_str();
}
const char* cudaGetErrorName(cudaError_t error) { return find(error).name; }

cudaError_t cudaDeviceSynchronize() {
  SIMT_RUNTIME_CALL(runtime, "cudaDeviceSynchronize")
  const cudaError_t error = runtime.refuse_during_capture();
  return error == cudaSuccess ? runtime.finish_all() : error;
}
cudaError_t cudaGetDeviceCount(int* count) {
  SIMT_RUNTIME_CALL(runtime, "cudaGetDeviceCount")
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  SIMT_RUNTIME_CALL(runtime, "cudaSetDevice")
  return device == 0 ? cudaSuccess : report(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
  SIMT_RUNTIME_CALL(runtime, "cudaGetDevice")
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  SIMT_RUNTIME_CALL(runtime, "cudaDeviceGetAttribute")
  if (device != 0) return report(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrWarpSize:
      *value = 32;
      break;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = int{kDefaultDynamicShared};
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int{kMostDynamicShared};
      break;
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
    default:
      return report(cudaErrorNotSupported);  // add what a kernel's launcher comes to ask
  }
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  SIMT_RUNTIME_CALL(runtime, "cudaGetDeviceProperties")
  if (device != 0) return report(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "CPU emulation (%s)",
                verace::simt::emulator::build_kind());
  properties->major = 9;
  properties->multiProcessorCount = kMultiprocessors;
  properties->totalGlobalMem = options().memory_limit;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerBlock = kDefaultDynamicShared;
  properties->sharedMemPerBlockOptin = kMostDynamicShared;
  properties->regsPerBlock = 65536;
  properties->managedMemory = 1;
  properties->concurrentManagedAccess = 1;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  SIMT_RUNTIME_CALL(runtime, "cudaFuncSetAttribute")
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || size_t(value) > kMostDynamicShared) return report(cudaErrorInvalidValue);
  runtime.allowed_dynamic_shared[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

// As if the device had room for as many blocks as threads fit.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int block_size,
                                                          size_t) {
  SIMT_RUNTIME_CALL(runtime, "cudaOccupancyMaxActiveBlocksPerMultiprocessor")
  if (block_size < 1 || block_size > 1024) return report(cudaErrorInvalidValue);
  *blocks = 2048 / block_size;
  return cudaSuccess;
}

}  // extern "C"
