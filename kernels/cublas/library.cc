// Loading cuBLASLt, and its handles.
#include "kernels/cublas/library.h"

#include <cuda_runtime_api.h>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels::cublas {
namespace {

Functions load() {
  const DynamicLibrary& lib = library();
  Functions f{};
  const auto find = [&](auto& function, const char* symbol) {
    function =
        lib.function<std::remove_pointer_t<std::remove_reference_t<decltype(function)>>>(symbol);
  };
  find(f.get_version, "cublasLtGetVersion");
  find(f.status_string, "cublasLtGetStatusString");
  find(f.create, "cublasLtCreate");
  find(f.destroy, "cublasLtDestroy");
  find(f.layout_init, "cublasLtMatrixLayoutInit_internal");
  find(f.operation_init, "cublasLtMatmulDescInit_internal");
  find(f.operation_set, "cublasLtMatmulDescSetAttribute");
  find(f.preference_init, "cublasLtMatmulPreferenceInit_internal");
  find(f.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  find(f.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(f.capability, "cublasLtMatmulAlgoCapGetAttribute");
  find(f.configuration, "cublasLtMatmulAlgoConfigGetAttribute");
  find(f.matmul, "cublasLtMatmul");
  return f;
}

int current_device() {
  int device = -1;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) {
    cudaGetLastError();
    fail_input(text::format("cuBLASLt: no CUDA device: {}", cudaGetErrorString(error)));
  }
  return device;
}

std::shared_ptr<cublasLtContext> make_handle() {
  cublasLtHandle_t made = nullptr;
  const cublasStatus_t status = functions().create(&made);
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail_input(text::format("cuBLASLt ({}): cublasLtCreate failed: {}", library().path(),
                            functions().status_string(status)));
  }
  return {made, functions().destroy};
}

}  // namespace

const DynamicLibrary& library() {
  static const DynamicLibrary the_library(text::format("cuBLASLt {}", CUBLAS_VER_MAJOR),
                                          text::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR),
                                          cuda_library_folders());
  return the_library;
}

const Functions& functions() {
  static const Functions the_functions = load();
  return the_functions;
}

std::shared_ptr<cublasLtContext> handle() {
  thread_local std::shared_ptr<cublasLtContext> mine;
  thread_local int device_of_mine = -1;
  functions();  // a missing library is told before a missing device
  const int device = current_device();
  if (mine == nullptr || device != device_of_mine) {
    mine = make_handle();
    device_of_mine = device;
  }
  return mine;
}

std::string version() {
  const size_t number = functions().get_version();  // 13 01 00, as CUBLAS_VERSION
  return text::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

}  // namespace verace::kernels::cublas
