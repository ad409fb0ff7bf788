// Copies between memory of the host and that of a device: the only ones, and always explicit.
//
// On host devices they are plain copies. On a CUDA device the first three are enqueued on the
// stream of `exec`, in the order of its operations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"
#include "kernels/exec.h"

namespace verace::engine {

// From the host. `from` must stay as it is until wait().
void copy_from_host(const kernels::Exec& exec, void* to, const void* from, int64_t bytes);
// To the host. Of pageable memory the bytes are there when this returns, of pinned memory after
// wait().
void copy_to_host(const kernels::Exec& exec, void* to, const void* from, int64_t bytes);
// Bytes to zero; part of a step where an operation does it.
void fill_zero(const kernels::Exec& exec, void* p, int64_t bytes);
// Returns when all that was enqueued on the stream is done. Throws Error where some of it failed.
void wait(const kernels::Exec& exec);

// The elements of a tensor of a real type in any memory, as fp32, after all work of the device.
std::vector<float> read(const Tensor& tensor);
// Overwrites them, after all work of the device. Throws Error(kInternal) on another size.
void write(const Tensor& tensor, std::span<const float> values);
// The same for the bytes of a tensor of any type; all of them.
void read_bytes(const Tensor& tensor, void* to, int64_t bytes);
void write_bytes(const Tensor& tensor, const void* from, int64_t bytes);
// The same tensor in another memory.
Tensor copied_to(MemoryKind memory, const Tensor& tensor);

}  // namespace verace::engine
