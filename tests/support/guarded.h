// Guarded<T>: a test buffer between canary bytes, so that a kernel that writes beyond its end is
// seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

namespace verace::test {

// The payload starts on a 64-byte boundary and the second guard directly at its end, so that even a
// store one element too far (or a full vector at the tail) touches a canary.
template <class T>
class Guarded {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Guarded(int64_t count, T fill = {}) : count_(count), bytes_(allocate(count)) {
    std::fill_n(bytes_.get(), kGuard, kCanary);
    std::uninitialized_fill_n(data(), count, fill);
    std::fill_n(payload_end(), kGuard, kCanary);
  }
  explicit Guarded(std::span<const T> values) : Guarded(static_cast<int64_t>(values.size())) {
    std::copy(values.begin(), values.end(), data());
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(std::span<const T>(values)) {}

  T* data() { return reinterpret_cast<T*>(bytes_.get() + kGuard); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.get() + kGuard); }
  size_t size() const { return static_cast<size_t>(count_); }
  std::span<T> span() { return {data(), size()}; }
  std::span<const T> span() const { return {data(), size()}; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  std::vector<T> copy() const { return std::vector<T>(data(), data() + count_); }

  // True while no byte of either guard has changed.
  bool intact() const {
    const auto whole = [](const std::byte* guard) {
      return std::all_of(guard, guard + kGuard, [](std::byte b) { return b == kCanary; });
    };
    return whole(bytes_.get()) && whole(const_cast<Guarded*>(this)->payload_end());
  }

 private:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kGuard = 256;
  static constexpr std::byte kCanary{0xA5};

  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(kAlignment)); }
  };
  using Bytes = std::unique_ptr<std::byte, Free>;

  static Bytes allocate(int64_t count) {
    const size_t total = static_cast<size_t>(count) * sizeof(T) + 2 * kGuard;
    return Bytes(static_cast<std::byte*>(::operator new(total, std::align_val_t(kAlignment))));
  }
  std::byte* payload_end() { return bytes_.get() + kGuard + size() * sizeof(T); }

  int64_t count_;
  Bytes bytes_;
};

}  // namespace verace::test
