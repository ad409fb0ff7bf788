// Asking CUDA's runtime about devices. Only builds with CUDA define these.
#pragma once

#include <cstdint>
#include <string>

namespace verace::engine {

// Makes a device the calling thread's current one, and gives it a context where it has none. Throws
// Error that names the call.
void use_cuda_device(int index);
std::string cuda_device_name(int index);

// Of the current device, in bytes. Throws Error that names the call.
struct CudaMemory {
  int64_t free = 0, total = 0;
};
CudaMemory cuda_memory();

}  // namespace verace::engine
