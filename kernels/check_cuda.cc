// What CUDA's errors mean to whoever runs the program.
#include "kernels/check_cuda.h"

#include <cuda_runtime_api.h>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels {
namespace {

// What to do about an error; empty where the call itself was wrong.
const char* advice(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "the device's memory is full: use a smaller batch, or end what else runs on it";
    case cudaErrorDevicesUnavailable:
      return "another program holds the device, or its compute mode forbids a second one: wait, or "
             "name another device";
    case cudaErrorSystemNotReady:
      return "the machine's links between GPUs are not up yet: start nvidia-fabricmanager";
    case cudaErrorStubLibrary:
      return "the libcuda.so.1 that was found is the toolkit's stub: let the driver's come first "
             "in "
             "the loader's path";
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return "NVIDIA's driver does not fit this program: install a newer one";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "this program has no code for this device: build it for its compute capability";
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorExternalDevice:
      return "the device is lost, by a fault of its hardware: nvidia-smi -q says which; start the "
             "program again";
    default:
      return device_is_lost(error) ? "the device is lost to this process, with all that it held: "
                                     "start the program again"
                                   : "";
  }
}

}  // namespace

bool device_is_lost(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsRpcFailure:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

std::string cuda_error_text(cudaError_t error) {
  const std::string text =
      text::format("{} ({})", cudaGetErrorString(error), cudaGetErrorName(error));
  const std::string what_to_do = advice(error);
  return one_line(what_to_do.empty() ? text : text + ": " + what_to_do);
}

void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  const std::string text = cuda_error_text(status);  // first: forgetting may change the words
  cudaGetLastError();
  throw Error(*advice(status) != '\0' ? ErrorKind::kDevice : ErrorKind::kInternal,
              text::format("{}:{}: {} failed: {}", file, line, one_line(call), text));
}

}  // namespace verace::kernels
