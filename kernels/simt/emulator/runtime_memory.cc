// The runtime stand-in's memory: cudaMalloc, cudaFree, cudaMallocHost, cudaMallocManaged and kin.
#include <cuda_runtime_api.h>

#include <cstring>

#include "kernels/simt/emulator/checker.h"
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/runtime.h"

namespace verace::simt::emulator {

void* MemoryTable::allocate(MemoryKind kind, size_t bytes) {
  const bool on_device = kind != MemoryKind::kPinned;
  if (on_device && in_use_ + bytes > options().memory_limit) return nullptr;
  // Exactly as many bytes as asked for: AddressSanitizer then sees the first byte too many.
  const size_t wanted = bytes > 0 ? bytes : 1;
  void* const memory =
      ::operator new(wanted, kAlignment, std::nothrow);  // NOLINT(raw-memory): device memory
  auto* const p = static_cast<std::byte*>(memory);
  if (p == nullptr) return nullptr;
  std::memset(p, 0xff, wanted);
  blocks_[reinterpret_cast<uintptr_t>(p)] = {{kind, bytes}, std::unique_ptr<std::byte, Free>(p)};
  if (on_device) in_use_ += bytes;
  // The host writes managed and pinned memory itself, unseen by the checker.
  if constexpr (checker::compiled_in) checker::allocated(p, bytes, kind != MemoryKind::kDevice);
  return p;
}

bool MemoryTable::release(void* p, bool pinned) {
  const auto found = blocks_.find(reinterpret_cast<uintptr_t>(p));
  if (found == blocks_.end()) return false;
  const Block block = found->second.block;
  if ((block.kind == MemoryKind::kPinned) != pinned) return false;
  if constexpr (checker::compiled_in) checker::freed(p);
  if (!pinned) in_use_ -= block.bytes;
  blocks_.erase(found);
  return true;
}

const MemoryTable::Block* MemoryTable::find(const void* p, size_t bytes) const {
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto next = blocks_.upper_bound(address);
  if (next == blocks_.begin()) return nullptr;
  const auto& [start, owned] = *--next;
  return address + bytes <= start + owned.block.bytes ? &owned.block : nullptr;
}

namespace {

cudaError_t allocate(const char* name, void** p, size_t bytes, MemoryKind kind) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = injected_fault(name, cudaErrorMemoryAllocation);
  if (fault != cudaSuccess) return report(fault);
  if (p == nullptr) return report(cudaErrorInvalidValue);
  if (const cudaError_t error = runtime.refuse_during_capture(); error != cudaSuccess) return error;
  void* const memory = runtime.memory.allocate(kind, bytes);
  if (memory == nullptr) return report(cudaErrorMemoryAllocation);
  *p = memory;
  return cudaSuccess;
}

// Releases although a fault is reported: a caller cannot try again.
cudaError_t release(const char* name, void* p, bool pinned) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = injected_fault(name);
  if (p == nullptr) return report(fault);
  cudaError_t error = runtime.refuse_during_capture();
  if (error != cudaSuccess) return error;
  error = runtime.finish_all();
  if (!runtime.memory.release(p, pinned)) return report(cudaErrorInvalidValue);
  return report(fault != cudaSuccess ? fault : error);
}

}  // namespace
}  // namespace verace::simt::emulator

using verace::simt::emulator::allocate;
using verace::simt::emulator::MemoryKind;
using verace::simt::emulator::release;
using verace::simt::emulator::report;

extern "C" {

cudaError_t cudaMalloc(void** p, size_t bytes) {
  return allocate("cudaMalloc", p, bytes, MemoryKind::kDevice);
}
cudaError_t cudaMallocManaged(void** p, size_t bytes, unsigned) {
  return allocate("cudaMallocManaged", p, bytes, MemoryKind::kManaged);
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  return allocate("cudaMallocHost", p, bytes, MemoryKind::kPinned);
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  return allocate("cudaHostAlloc", p, bytes, MemoryKind::kPinned);
}
cudaError_t cudaFree(void* p) { return release("cudaFree", p, false); }
cudaError_t cudaFreeHost(void* p) { return release("cudaFreeHost", p, true); }

cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t) {
  return allocate("cudaMallocAsync", p, bytes, MemoryKind::kDevice);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  auto& runtime = verace::simt::emulator::Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = verace::simt::emulator::injected_fault("cudaFreeAsync");
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  if (runtime.memory.find(p, 0) == nullptr) return report(cudaErrorInvalidValue);
  const cudaError_t error =
      runtime.put(runtime.stream(stream), [&runtime, p] { runtime.memory.release(p, false); });
  return report(fault != cudaSuccess ? fault : error);
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  SIMT_RUNTIME_CALL(runtime, "cudaMemGetInfo")
  *total = verace::simt::emulator::options().memory_limit;
  *free_bytes = *total - std::min(*total, runtime.memory.in_use());
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  SIMT_RUNTIME_CALL(runtime, "cudaPointerGetAttributes")
  *attributes = {};
  attributes->type = cudaMemoryTypeUnregistered;
  const auto* block = runtime.memory.find(p, 0);
  if (block == nullptr) return cudaSuccess;
  attributes->type = block->kind == MemoryKind::kDevice    ? cudaMemoryTypeDevice
                     : block->kind == MemoryKind::kManaged ? cudaMemoryTypeManaged
                                                           : cudaMemoryTypeHost;
  attributes->devicePointer = const_cast<void*>(p);
  if (block->kind != MemoryKind::kDevice) attributes->hostPointer = const_cast<void*>(p);
  return cudaSuccess;
}

}  // extern "C"
