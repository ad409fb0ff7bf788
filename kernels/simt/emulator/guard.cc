// Guards in AddressSanitizer's shadow and in the access checker's; contents in the latter.
#include "kernels/simt/emulator/guard.h"

#include "kernels/simt/emulator/checker.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace verace::simt::emulator {

void forbid([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(p, bytes);
#endif
  if constexpr (checker::compiled_in) checker::forbid(p, bytes);
}

void allow([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(p, bytes);
#endif
  if constexpr (checker::compiled_in) checker::allow(p, bytes);
}

void forget([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
  if constexpr (checker::compiled_in) checker::forget(p, bytes);
}

void remember([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
  if constexpr (checker::compiled_in) checker::initialised(p, bytes);
}

size_t unwritten([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
  if constexpr (checker::compiled_in) return checker::count_uninitialised(p, bytes);
  return 0;
}

}  // namespace verace::simt::emulator
