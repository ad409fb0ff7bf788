// Memory: move-only buffers with a byte counter, and the arena that a planned step works in.
//
// Memory of a device is reached by its operations and by engine/transfer.h, never directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/check.h"
#include "kernels/exec.h"

namespace verace::engine {

// Alignment of every buffer and of every value in an arena: a cache line, and the widest vector.
inline constexpr int64_t kAlignment = 64;

inline int64_t align_up(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Where bytes lie. kPinned: host memory that a CUDA device copies from and to while the host goes
// on.
enum class MemoryKind { kHost, kPinned, kDevice };
inline constexpr int kMemoryKinds = 3;

// The memory that the operations of a device read and write.
inline MemoryKind memory_of(const kernels::Exec& exec) {
  return exec.device == kernels::DeviceKind::kCuda ? MemoryKind::kDevice : MemoryKind::kHost;
}

// Bytes of all live Buffers of this process in one kind of memory, now and at most so far.
struct MemoryUse {
  int64_t current = 0;
  int64_t peak = 0;
};
MemoryUse memory_use(MemoryKind kind = MemoryKind::kHost);

// Bytes of the current device's memory that are free; 0 for the host: not known here
// (apps/lib/memory_limit.h).
int64_t free_memory(MemoryKind kind);

// There is not as much memory as was asked for: `missing` bytes. A smaller batch may do.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, int64_t missing, MemoryKind memory)
      : Error(ErrorKind::kInput, one_line(message)), missing_(missing), memory_(memory) {}
  int64_t missing() const { return missing_; }
  MemoryKind memory() const { return memory_; }  // which of them is full

 private:
  int64_t missing_;
  MemoryKind memory_;
};

enum class Contents { kZero, kUndefined };

// Owns `bytes` bytes, aligned to kAlignment. Move-only; copies are explicit elsewhere.
class Buffer {
 public:
  Buffer() = default;
  // Throws OutOfMemory naming the bytes when there are not as many: for a device with what it has
  // and what is free.
  explicit Buffer(int64_t bytes, MemoryKind kind = MemoryKind::kHost,
                  Contents contents = Contents::kZero);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  MemoryKind kind() const { return kind_; }

 private:
  void release() noexcept;

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  MemoryKind kind_ = MemoryKind::kHost;
};

// One block that planned steps share: each step places its values at fixed offsets in it, and only
// one step runs at a time. Grows to the largest step that asks; contents do not survive growth.
class Arena {
 public:
  // Makes at least `bytes` available, all in one kind of memory: that of the first call. Memory of
  // a device is taken at the first base(), so that what does not fit can be planned and told.
  void reserve(int64_t bytes, MemoryKind kind = MemoryKind::kHost);
  // Where the block is; changes only by growth.
  std::byte* base();
  int64_t bytes() const { return bytes_; }

 private:
  Buffer buffer_;
  int64_t bytes_ = 0;
  MemoryKind kind_ = MemoryKind::kHost;
};

}  // namespace verace::engine
