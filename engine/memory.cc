// Buffers from anonymous memory maps, counted.
#include "engine/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::engine {
namespace {

std::atomic<int64_t> current_bytes{0};
std::atomic<int64_t> peak_bytes{0};

void count(int64_t bytes) {
  const int64_t now = current_bytes.fetch_add(bytes) + bytes;
  int64_t seen = peak_bytes.load();
  while (now > seen && !peak_bytes.compare_exchange_weak(seen, now)) {
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

}  // namespace

MemoryUse memory_use() { return {current_bytes.load(), peak_bytes.load()}; }

void reset_memory_peak() { peak_bytes.store(current_bytes.load()); }

Buffer::Buffer(int64_t bytes) : bytes_(bytes) {
  VERACE_CHECK(bytes >= 0);
  if (bytes == 0) return;
  void* address = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address != MAP_FAILED && bytes >= kLarge && !room_for_others()) {
    munmap(address, static_cast<size_t>(bytes));
    address = MAP_FAILED;
  }
  if (address == MAP_FAILED) {
    fail_input(text::format(
        "not enough memory: {:.1f} MB more are needed on top of {:.1f} MB in use; "
        "use a smaller --batch",
        static_cast<double>(bytes) / 1e6, static_cast<double>(memory_use().current) / 1e6));
  }
  data_ = static_cast<std::byte*>(address);
  // Large pages spare page faults and TLB misses in the big tensors; only a hint.
  if (bytes >= kLarge) madvise(address, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  count(bytes);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Buffer::release() noexcept {
  if (data_ == nullptr) return;
  munmap(data_, static_cast<size_t>(bytes_));
  count(-bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

void Arena::reserve(int64_t bytes) {
  if (bytes <= buffer_.bytes()) return;
  buffer_ = Buffer();  // free first: old and new together may not fit
  buffer_ = Buffer(bytes);
}

}  // namespace verace::engine
