// What g++ -fsanitize=thread calls at each load and store: normally libtsan's functions, here the
// access checker's. libtsan is not linked.
#include "kernels/simt/emulator/checker.h"

#if VERACE_SIMT_CHECK

#include "kernels/simt/emulator/access.h"
#include "kernels/simt/emulator/core.h"
#include "kernels/simt/emulator/source_line.h"

#define SIMT_CODE ::verace::simt::emulator::code_offset(__builtin_return_address(0))

namespace {

void check(void* p, unsigned long bytes, bool write, bool aligned, uint32_t code) {
  if (bytes == 0) return;
  verace::simt::emulator::checker::check_access(
      {reinterpret_cast<uintptr_t>(p), static_cast<unsigned>(bytes), write, aligned, code});
}

// Atomic built-ins in kernels; the host's (shared_ptr) pass through unchecked.
void check_atomic(const volatile void* p, unsigned bytes, bool write, uint32_t code) {
  const verace::simt::emulator::AtomicScope atomic;
  check(const_cast<void*>(p), bytes, write, true, code);
}

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) { verace::simt::emulator::fence(); }
void __tsan_atomic_signal_fence(int) {}

#define SIMT_HOOKS(n)                                                              \
  void __tsan_read##n(void* p) { check(p, n, false, true, SIMT_CODE); }            \
  void __tsan_write##n(void* p) { check(p, n, true, true, SIMT_CODE); }            \
  void __tsan_volatile_read##n(void* p) { check(p, n, false, true, SIMT_CODE); }   \
  void __tsan_volatile_write##n(void* p) { check(p, n, true, true, SIMT_CODE); }   \
  void __tsan_unaligned_read##n(void* p) { check(p, n, false, false, SIMT_CODE); } \
  void __tsan_unaligned_write##n(void* p) { check(p, n, true, false, SIMT_CODE); }
SIMT_HOOKS(1)
SIMT_HOOKS(2)
SIMT_HOOKS(4)
SIMT_HOOKS(8)
SIMT_HOOKS(16)

void __tsan_read_range(void* p, unsigned long n) { check(p, n, false, false, SIMT_CODE); }
void __tsan_write_range(void* p, unsigned long n) { check(p, n, true, false, SIMT_CODE); }

#define SIMT_ATOMIC_HOOKS(bits, T)                                                          \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                  \
    check_atomic(p, sizeof(T), false, SIMT_CODE);                                           \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                            \
  }                                                                                         \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                               \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                               \
  }                                                                                         \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                               \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                     \
  }                                                                                         \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                              \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                      \
  }                                                                                         \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                              \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                      \
  }                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* e, T v, int, int) {   \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* e, T v, int, int) {     \
    check_atomic(p, sizeof(T), true, SIMT_CODE);                                            \
    return __atomic_compare_exchange_n(p, e, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }
SIMT_ATOMIC_HOOKS(8, uint8_t)
SIMT_ATOMIC_HOOKS(16, uint16_t)
SIMT_ATOMIC_HOOKS(32, uint32_t)
SIMT_ATOMIC_HOOKS(64, uint64_t)

}  // extern "C"

#endif
