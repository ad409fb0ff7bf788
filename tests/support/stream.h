// A CUDA stream of a test's own; nothing where the build has no CUDA.
#pragma once

#include "kernels/check.h"
#include "kernels/exec.h"

#if VERACE_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace verace::test {

class DeviceStream {
 public:
  DeviceStream() {
#if VERACE_HAVE_CUDA
    const cudaError_t error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    VERACE_CHECK(error == cudaSuccess, cudaGetErrorString(error));
#endif
  }
  ~DeviceStream() {
#if VERACE_HAVE_CUDA
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
#endif
  }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;
  CUstream_st* get() const { return stream_; }

 private:
  CUstream_st* stream_ = nullptr;
};

}  // namespace verace::test
