// VERACE_CUDA: checked calls of CUDA's runtime. Only for files that are compiled where CUDA is
// (X_cuda.cc, .cu).
#pragma once

#include <driver_types.h>

#include <string>

namespace verace::kernels {

// True for errors after which no call of this process succeeds on the device again: a kernel that
// was stopped, a fault of memory or link, a device that has gone. All that the device held is lost.
bool device_is_lost(cudaError_t error);

// What CUDA says of an error, its name, and for what is not a mistake in a call also what to do:
// "out of memory (cudaErrorMemoryAllocation)". One line. `error` is not cudaSuccess.
std::string cuda_error_text(cudaError_t error);

// Throws unless `status` is cudaSuccess: `call`, its place, cuda_error_text(); Error(kDevice) where
// device and machine are the cause, Error(kInternal) where the call itself must be wrong. The
// runtime then forgets the error, which it would report for the next launch again (one that is
// lasting, see device_is_lost, comes back by itself).
void check_cuda(cudaError_t status, const char* call, const char* file, int line);

}  // namespace verace::kernels

// VERACE_CUDA(cudaStreamSynchronize(stream)): the call, and the Error of check_cuda() where it
// fails.
#define VERACE_CUDA(call) ::verace::kernels::check_cuda((call), #call, __FILE__, __LINE__)
