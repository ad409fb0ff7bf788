// Memory of a CUDA device and pinned memory of the host; only Buffer calls this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/memory.h"

namespace verace::engine::cuda {

// Of the current device, in bytes. Throws for what the call reports.
int64_t free_memory();
// At least `bytes` bytes of kPinned or kDevice memory. Throws OutOfMemory naming what lacks.
std::byte* allocate(int64_t bytes, MemoryKind kind, Contents contents);
// Waits for all work of the device, which may use the memory, and gives it back.
void release(std::byte* p, MemoryKind kind) noexcept;

}  // namespace verace::engine::cuda
