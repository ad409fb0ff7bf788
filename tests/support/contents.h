// Memory without contents: in the emulated build with the access checker a kernel that reads it is
// stopped, and a test that looks at what no kernel wrote fails.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "tests/support/emulated.h"

namespace verace::test {

struct Contents {
  // Whether kernels write the buffers of what runs now; what the CPU's operations write, the
  // checker does not see. for_each_device_of() sets it.
  bool by_kernels = false;
  size_t unwritten_looks = 0;  // elements that a test looked at although nothing had written them
};
inline Contents& contents() {
  static Contents all;
  return all;
}

// Says for as long as it lives whether kernels write the buffers.
class ByKernels {
 public:
  explicit ByKernels(bool yes) : before_(std::exchange(contents().by_kernels, yes)) {}
  ~ByKernels() { contents().by_kernels = before_; }
  ByKernels(const ByKernels&) = delete;
  ByKernels& operator=(const ByKernels&) = delete;

 private:
  bool before_;
};

inline void forget(const void* p, size_t bytes) {
  if (contents().by_kernels) forget_bytes(p, bytes);
}

// The host is about to write all of it.
inline void remember(const void* p, size_t bytes) { remember_bytes(p, bytes); }

// The host looks at `count` elements. Those count that no kernel has written and that still hold
// the bits of `fill`: others an operation on the CPU has written.
template <class T>
void look(const T* p, size_t count, const T& fill) {
  if (!contents().by_kernels || unwritten_bytes(p, count * sizeof(T)) == 0) return;
  for (size_t i = 0; i < count; ++i) {
    const bool untouched = std::memcmp(p + i, &fill, sizeof(T)) == 0;
    if (untouched && unwritten_bytes(p + i, sizeof(T)) > 0) ++contents().unwritten_looks;
  }
}

}  // namespace verace::test
