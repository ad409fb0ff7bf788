// cuDNN's library, loaded when it is first needed, and a handle to it.
#pragma once

#include "kernels/dynamic_library.h"

struct cudnnContext;
struct CUstream_st;

namespace verace::kernels::cudnn {

// libcudnn.so.9. Throws Error(kInput) in one line where it is missing.
const DynamicLibrary& library();

// The calling thread's cuDNN handle, its work enqueued on `stream`. It belongs to the CUDA device
// that was current when the thread first asked for it: a thread works with one device. Throws
// Error(kInput) where there is no device, or no library.
cudnnContext* handle(CUstream_st* stream);

}  // namespace verace::kernels::cudnn
