// Buffers, counted: of the host from anonymous memory maps, of a device by memory_cuda.cc.
#include "engine/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "engine/memory_cuda.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"

namespace verace::engine {
namespace {

struct Counter {
  std::atomic<int64_t> current{0}, peak{0};
};

Counter& counter(MemoryKind kind) {
  static std::array<Counter, kMemoryKinds> counters;
  return counters[static_cast<size_t>(kind)];
}

void count(int64_t bytes, MemoryKind kind) {
  Counter& c = counter(kind);
  const int64_t now = c.current.fetch_add(bytes) + bytes;
  int64_t seen = c.peak.load();
  while (now > seen && !c.peak.compare_exchange_weak(seen, now)) {
  }
}

constexpr int64_t kLarge = 4 << 20;

// Where address space is limited (ulimit -v), our buffers must leave some to the libraries: oneDNN
// crashes when it finds none for the code that it generates.
bool room_for_others() {
  constexpr size_t kRoom = 128 << 20;
  void* address =
      mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return false;
  munmap(address, kRoom);
  return true;
}

std::byte* map_host(int64_t bytes) {
  void* address = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address != MAP_FAILED && bytes >= kLarge && !room_for_others()) {
    munmap(address, static_cast<size_t>(bytes));
    address = MAP_FAILED;
  }
  if (address == MAP_FAILED) {
    throw OutOfMemory(
        text::format("not enough memory: {:.1f} MB more are needed on top of {:.1f} MB in use; "
                     "use a smaller --batch",
                     static_cast<double>(bytes) / 1e6,
                     static_cast<double>(memory_use().current) / 1e6),
        bytes, MemoryKind::kHost);
  }
  // Large pages spare page faults and TLB misses in the big tensors; only a hint.
  if (bytes >= kLarge) madvise(address, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return static_cast<std::byte*>(address);
}

}  // namespace

MemoryUse memory_use(MemoryKind kind) {
  const Counter& c = counter(kind);
  return {c.current.load(), c.peak.load()};
}

int64_t free_memory([[maybe_unused]] MemoryKind kind) {
  if constexpr (kernels::have_cuda) {
    if (kind == MemoryKind::kDevice) return cuda::free_memory();
  }
  return 0;
}

Buffer::Buffer(int64_t bytes, MemoryKind kind, Contents contents) : bytes_(bytes), kind_(kind) {
  VERACE_CHECK(bytes >= 0);
  if (bytes == 0) return;
  if (kind == MemoryKind::kHost) {
    data_ = map_host(bytes);
  } else if constexpr (kernels::have_cuda) {
    data_ = cuda::allocate(bytes, kind, contents);
  } else {
    fail_check("kernels::have_cuda", __FILE__, __LINE__, "device memory in a build without CUDA");
  }
  count(bytes, kind);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      kind_(other.kind_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    kind_ = other.kind_;
  }
  return *this;
}

void Buffer::release() noexcept {
  if (data_ == nullptr) return;
  if (kind_ == MemoryKind::kHost) {
    munmap(data_, static_cast<size_t>(bytes_));
  } else if constexpr (kernels::have_cuda) {
    cuda::release(data_, kind_);
  }
  count(-bytes_, kind_);
  data_ = nullptr;
  bytes_ = 0;
}

void Arena::reserve(int64_t bytes, MemoryKind kind) {
  VERACE_CHECK(bytes_ == 0 || kind == kind_, "an arena lies in one kind of memory");
  if (bytes <= bytes_) return;
  buffer_ = Buffer();  // free first: old and new together may not fit
  bytes_ = 0;
  if (kind == MemoryKind::kHost) buffer_ = Buffer(bytes);
  bytes_ = bytes;
  kind_ = kind;
}

std::byte* Arena::base() {
  if (buffer_.bytes() < bytes_) buffer_ = Buffer(bytes_, kind_, Contents::kUndefined);
  return buffer_.data();
}

}  // namespace verace::engine
