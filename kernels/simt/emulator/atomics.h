// Atomic functions for the CPU: atomicAdd, Sub, Max, Min, Exch, CAS, Inc, Dec, And, Or, Xor.
#pragma once

#include <type_traits>

#include "kernels/simt/emulator/core.h"

namespace verace::simt::emulator {

// Sets *p = next(*p) in one indivisible step; returns the old value.
template <class T, class Next>
T read_modify_write(T* p, Next next) {
  const AtomicScope atomic;
#if SIMT_ONE_OS_THREAD
  const T old = *p;  // an ordinary access: the sanitizers look at it
  *p = next(old);
#else
  T old;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  T wanted = next(old);
  while (!__atomic_compare_exchange(p, &old, &wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    wanted = next(old);
  }
#endif
  return old;
}

}  // namespace verace::simt::emulator

template <class T>
T atomicAdd(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(
      p, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicSub(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(
      p, [=](T old) { return static_cast<T>(old - value); });
}
template <class T>
T atomicMax(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(
      p, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(
      p, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicExch(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(p, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* p, std::common_type_t<T> compare, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(
      p, [=](T old) { return old == compare ? value : old; });
}
template <class T>
T atomicAnd(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(p, [=](T old) { return old & value; });
}
template <class T>
T atomicOr(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(p, [=](T old) { return old | value; });
}
template <class T>
T atomicXor(T* p, std::common_type_t<T> value) {
  return verace::simt::emulator::read_modify_write(p, [=](T old) { return old ^ value; });
}
inline unsigned atomicInc(unsigned* p, unsigned last) {
  return verace::simt::emulator::read_modify_write(
      p, [=](unsigned old) { return old >= last ? 0u : old + 1; });
}
inline unsigned atomicDec(unsigned* p, unsigned last) {
  return verace::simt::emulator::read_modify_write(
      p, [=](unsigned old) { return old == 0 || old > last ? last : old - 1; });
}
