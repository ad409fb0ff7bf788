// cuBLASLt's library, loaded when it is first needed: its functions, and a handle to it.
#pragma once

#include <cublasLt.h>

#include <memory>
#include <string>

#include "kernels/dynamic_library.h"

namespace verace::kernels::cublas {

// The functions that we call, under their names without cublasLt.
struct Functions {
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatrixLayoutInit_internal) layout_init;
  decltype(&cublasLtMatmulDescInit_internal) operation_init;
  decltype(&cublasLtMatmulDescSetAttribute) operation_set;
  decltype(&cublasLtMatmulPreferenceInit_internal) preference_init;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulAlgoCapGetAttribute) capability;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) configuration;
  decltype(&cublasLtMatmul) matmul;
};

// libcublasLt.so of the major version of the headers. Both throw Error(kInput) in one line where it
// is missing or lacks a function.
const DynamicLibrary& library();
const Functions& functions();

// A cuBLASLt handle of the calling thread for the current CUDA device; plans keep it alive. Throws
// Error(kInput) where there is no device, or no library.
std::shared_ptr<cublasLtContext> handle();

// "13.1.0", of the loaded library. Throws Error(kInput) where it is missing.
std::string version();

}  // namespace verace::kernels::cublas
