// Guarded<T>: a test buffer between canary bytes, so that a kernel that writes beyond its end is
// seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "tests/support/device_memory.h"

namespace verace::test {

// The payload starts on a 64-byte boundary and the second guard directly at its end, so that even a
// store one element too far (or a full vector at the tail) touches a canary. Operations of every
// device may use it (device_memory.h); whoever looks at it waits for the device first.
template <class T>
class Guarded {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Guarded(int64_t count, T fill = {})
      : count_(count),
        bytes_(allocate_shared(static_cast<size_t>(count) * sizeof(T) + 2 * kGuard)) {
    std::fill_n(bytes_.get(), kGuard, kCanary);
    std::uninitialized_fill_n(payload(), count, fill);
    std::fill_n(payload_end(), kGuard, kCanary);
  }
  explicit Guarded(std::span<const T> values) : Guarded(static_cast<int64_t>(values.size())) {
    std::copy(values.begin(), values.end(), payload());
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(std::span<const T>(values)) {}

  T* data() {
    wait_for_device();
    return payload();
  }
  const T* data() const {
    wait_for_device();
    return payload();
  }
  size_t size() const { return static_cast<size_t>(count_); }
  std::span<T> span() { return {data(), size()}; }
  std::span<const T> span() const { return {data(), size()}; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  std::vector<T> copy() const {
    const T* values = data();
    return std::vector<T>(values, values + count_);
  }

  // True while no byte of either guard has changed.
  bool intact() const {
    wait_for_device();
    const auto whole = [](const std::byte* guard) {
      return std::all_of(guard, guard + kGuard, [](std::byte b) { return b == kCanary; });
    };
    return whole(bytes_.get()) && whole(payload_end());
  }

 private:
  static constexpr size_t kGuard = 256;  // keeps the alignment of the allocation
  static constexpr std::byte kCanary{0xA5};

  T* payload() const { return reinterpret_cast<T*>(bytes_.get() + kGuard); }
  std::byte* payload_end() const { return bytes_.get() + kGuard + size() * sizeof(T); }

  int64_t count_;
  SharedBytes bytes_;
};

}  // namespace verace::test
