// Memory without contents: in the emulated build with the access checker a kernel that reads it is
// stopped, and a test that looks at what no kernel wrote fails.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#if VERACE_EMULATED
#include "kernels/simt/emulator/guard.h"
#endif

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

inline void forget([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
#if VERACE_EMULATED
  if (contents().by_kernels) simt::emulator::forget(p, bytes);
#endif
}

// The host is about to write all of it.
inline void remember([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
#if VERACE_EMULATED
  simt::emulator::remember(p, bytes);
#endif
}

// The host looks at `count` elements. Those count that no kernel has written and that still hold
// the bits of `fill`: others an operation on the CPU has written.
template <class T>
void look([[maybe_unused]] const T* p, [[maybe_unused]] size_t count,
          [[maybe_unused]] const T& fill) {
#if VERACE_EMULATED
  if (!contents().by_kernels || simt::emulator::unwritten(p, count * sizeof(T)) == 0) return;
  for (size_t i = 0; i < count; ++i) {
    const bool untouched = std::memcmp(p + i, &fill, sizeof(T)) == 0;
    if (untouched && simt::emulator::unwritten(p + i, sizeof(T)) > 0) ++contents().unwritten_looks;
  }
#endif
}

}  // namespace verace::test
