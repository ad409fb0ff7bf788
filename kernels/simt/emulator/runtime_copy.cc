// The runtime stand-in's copies and fills, with CUDA's rules: the direction must be true; pageable
// host memory is read before the call returns and written when it returns, pinned memory in stream
// order.
#include <cuda_runtime_api.h>

#include <cstring>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/simt/emulator/checker.h"
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/runtime.h"

namespace verace::simt::emulator {
namespace {

enum class Side { kHost, kDevice };

// Whether [p, p+bytes) can be what the direction of the copy says.
bool fits(const Runtime& runtime, const void* p, size_t bytes, Side side) {
  const MemoryTable::Block* block = runtime.memory.find(p, bytes);
  if (side == Side::kDevice) return block != nullptr && block->kind != MemoryKind::kPinned;
  if (block != nullptr) return block->kind != MemoryKind::kDevice;
  return runtime.memory.find(p, 0) == nullptr;  // pageable, or past the end of ours
}

// cudaMemcpyDefault takes any memory, but of ours only what lies in one allocation.
bool fits_somewhere(const Runtime& runtime, const void* p, size_t bytes) {
  return runtime.memory.find(p, 1) == nullptr || runtime.memory.find(p, bytes) != nullptr;
}

// Whether what is written at p is for the host to read: pageable or pinned memory.
bool is_for_host(const Runtime& runtime, const void* p) {
  const MemoryTable::Block* block = runtime.memory.find(p, 0);
  return block == nullptr || block->kind == MemoryKind::kPinned;
}

bool direction_is_true(const Runtime& runtime, void* to, const void* from, size_t bytes,
                       cudaMemcpyKind kind) {
  if (bytes == 0) return true;
  switch (kind) {
    case cudaMemcpyDefault:
      return fits_somewhere(runtime, to, bytes) && fits_somewhere(runtime, from, bytes);
    case cudaMemcpyHostToHost:
      return fits(runtime, to, bytes, Side::kHost) && fits(runtime, from, bytes, Side::kHost);
    case cudaMemcpyHostToDevice:
      return fits(runtime, to, bytes, Side::kDevice) && fits(runtime, from, bytes, Side::kHost);
    case cudaMemcpyDeviceToHost:
      return fits(runtime, to, bytes, Side::kHost) && fits(runtime, from, bytes, Side::kDevice);
    case cudaMemcpyDeviceToDevice:
      return fits(runtime, to, bytes, Side::kDevice) && fits(runtime, from, bytes, Side::kDevice);
  }
  return false;
}

void copy_now(void* to, const void* from, size_t bytes, bool to_host) {
  if constexpr (checker::compiled_in) {
    const size_t bad =
        to_host && options().check_uninitialised ? checker::count_uninitialised(from, bytes) : 0;
    if (bad > 0) {
      throw Error(ErrorKind::kInternal,
                  text::format("copy to the host of {} bytes that nothing has written", bad));
    }
    if (!to_host) checker::copied(to, from, bytes);
  }
  if (bytes > 0) std::memmove(to, from, bytes);
}

cudaError_t copy(Runtime& runtime, void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                 cudaStream_t handle) {
  if (!runtime.valid(handle)) return report(cudaErrorInvalidResourceHandle);
  if (!direction_is_true(runtime, to, from, bytes, kind)) return report(cudaErrorInvalidValue);
  CUstream_st& stream = runtime.stream(handle);
  const bool pageable_to = runtime.memory.find(to, 0) == nullptr;
  const bool pageable_from = runtime.memory.find(from, 0) == nullptr;
  if (pageable_from && options().lazy && !stream.capture) {
    const auto* first = static_cast<const std::byte*>(from);
    return runtime.put(stream, [to, staged = std::vector<std::byte>(first, first + bytes)] {
      copy_now(to, staged.data(), staged.size(), false);
    });
  }
  const bool to_host = is_for_host(runtime, to);
  const cudaError_t error =
      runtime.put(stream, [to, from, bytes, to_host] { copy_now(to, from, bytes, to_host); });
  if (error == cudaSuccess && pageable_to && !stream.capture) return runtime.finish(stream);
  return error;
}

cudaError_t fill(Runtime& runtime, void* p, int value, size_t bytes, cudaStream_t handle) {
  if (!runtime.valid(handle)) return report(cudaErrorInvalidResourceHandle);
  if (bytes > 0 && !fits(runtime, p, bytes, Side::kDevice)) return report(cudaErrorInvalidValue);
  return runtime.put(runtime.stream(handle), [p, value, bytes] {
    if (bytes > 0) std::memset(p, value, bytes);
    if constexpr (checker::compiled_in) checker::initialised(p, bytes);
  });
}

}  // namespace
}  // namespace verace::simt::emulator

using verace::simt::emulator::copy;
using verace::simt::emulator::fill;

extern "C" {

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaMemcpyAsync")
  return copy(runtime, to, from, bytes, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  SIMT_RUNTIME_CALL(runtime, "cudaMemcpy")
  cudaError_t error = runtime.refuse_during_capture();
  if (error == cudaSuccess) error = copy(runtime, to, from, bytes, kind, nullptr);
  return error == cudaSuccess ? runtime.finish(runtime.stream(nullptr)) : error;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaMemsetAsync")
  return fill(runtime, p, value, bytes, stream);
}
cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  SIMT_RUNTIME_CALL(runtime, "cudaMemset")
  return fill(runtime, p, value, bytes, nullptr);
}

}  // extern "C"
