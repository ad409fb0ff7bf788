// Memory: move-only buffers with a byte counter, and the arena that a planned step works in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace verace::engine {

// Alignment of every buffer and of every value in an arena: a cache line, and the widest vector.
inline constexpr int64_t kAlignment = 64;

inline int64_t align_up(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Bytes of all live Buffers of this process, now and at most so far.
struct MemoryUse {
  int64_t current = 0;
  int64_t peak = 0;
};
MemoryUse memory_use();
// Starts a new measurement of the peak at the current use.
void reset_memory_peak();

// Owns `bytes` zero-initialised bytes, aligned to kAlignment. Move-only; copies are explicit
// elsewhere.
class Buffer {
 public:
  Buffer() = default;
  // Throws Error(kInput) naming the bytes when the system has not got them.
  explicit Buffer(int64_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void release() noexcept;

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

// One block that planned steps share: each step places its values at fixed offsets in it, and only
// one step runs at a time. Grows to the largest step that asks; contents do not survive growth.
class Arena {
 public:
  // Makes at least `bytes` available.
  void reserve(int64_t bytes);
  std::byte* base() const { return buffer_.data(); }
  int64_t bytes() const { return buffer_.bytes(); }

 private:
  Buffer buffer_;
};

}  // namespace verace::engine
