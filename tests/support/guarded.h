// Guarded<T>: a test buffer between canary bytes, so that a kernel that writes beyond its end is
// seen.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "tests/support/contents.h"
#include "tests/support/device_memory.h"

namespace verace::test {

// The payload starts on a 64-byte boundary and the second guard directly at its end, so that even a
// store one element too far (or a full vector at the tail) touches a canary. Operations of every
// device may use it (device_memory.h); whoever looks at it waits for the device first.
template <class T>
class Guarded {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Guarded(int64_t count, T fill)
      : count_(count),
        fill_(fill),
        bytes_(allocate_shared(static_cast<size_t>(count) * sizeof(T) + 2 * kGuard)) {
    std::fill_n(bytes_.get(), kGuard, kCanary);
    std::uninitialized_fill_n(payload(), count, fill);
    std::fill_n(payload_end(), kGuard, kCanary);
    if (is_nan(fill)) forget(payload(), payload_bytes());
  }
  // Without contents (contents.h), each bit is set: floating-point numbers are NaN. A fill of NaN
  // says the same.
  explicit Guarded(int64_t count) : Guarded(count, all_ones()) {
    forget(payload(), payload_bytes());
  }
  explicit Guarded(std::span<const T> values) : Guarded(static_cast<int64_t>(values.size()), T{}) {
    std::copy(values.begin(), values.end(), payload());
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(std::span<const T>(values)) {}

  // For operations.
  T* data() {
    wait_for_device();
    return payload();
  }
  const T* data() const {
    wait_for_device();
    return payload();
  }
  size_t size() const { return static_cast<size_t>(count_); }
  // For the test to write to all of it.
  std::span<T> write() {
    T* const values = data();
    remember(values, payload_bytes());
    return {values, size()};
  }
  // For the test to look at what is there.
  std::span<const T> span() const {
    const T* values = data();
    look(values, size(), fill_);
    return {values, size()};
  }
  const T& operator[](int64_t i) const {
    const T* value = data() + i;
    look(value, 1, fill_);
    return *value;
  }
  std::vector<T> copy() const {
    const std::span<const T> values = span();
    return std::vector<T>(values.begin(), values.end());
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

  static T all_ones() {
    T value{};
    std::memset(static_cast<void*>(&value), 0xff, sizeof value);
    return value;
  }
  static bool is_nan(T value) {
    if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
    return false;
  }

  T* payload() const { return reinterpret_cast<T*>(bytes_.get() + kGuard); }
  std::byte* payload_end() const { return bytes_.get() + kGuard + size() * sizeof(T); }

  size_t payload_bytes() const { return size() * sizeof(T); }

  int64_t count_;
  T fill_;
  SharedBytes bytes_;
};

}  // namespace verace::test
