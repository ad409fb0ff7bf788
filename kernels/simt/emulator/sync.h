// Barriers, shuffles and votes for the CPU: __syncthreads*, __syncwarp, __shfl_*_sync,
// __ballot_sync and the like.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/simt/emulator/core.h"

namespace verace::simt::emulator {

template <class T>
struct ShuffleSlot {
  T value, result;
  int source;
};

template <class T>
SIMT_UNCHECKED void complete_shuffle(void** slots, uint32_t mask) {
  for (int l = 0; l < 32; ++l) {
    if ((mask >> l & 1) == 0) continue;
    auto& slot = *static_cast<ShuffleSlot<T>*>(slots[l]);
    if ((mask >> slot.source & 1) == 0) {
      fail("shuffle: lane %d reads lane %d, which takes no part (mask %08x)", l, slot.source, mask);
    }
    slot.result = static_cast<ShuffleSlot<T>*>(slots[slot.source])->value;
  }
}

template <class T>
SIMT_UNCHECKED T shuffle(const char* name, unsigned mask, T value, int source, const char* file,
                         int line) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "shuffles take 2 to 8 bytes");
  ShuffleSlot<T> slot{value, value, source};
  warp_collective(mask, {name, complete_shuffle<T>, false}, &slot, file, line);
  return slot.result;
}

template <class T, class Combine>
SIMT_UNCHECKED T reduce(const char* name, unsigned mask, T value, const char* file, int line,
                        Combine) {
  const auto complete = [](void** slots, uint32_t lanes) {
    T all{};
    bool first = true;
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      all = first ? *static_cast<T*>(slots[l]) : Combine{}(all, *static_cast<T*>(slots[l]));
      first = false;
    }
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) != 0) *static_cast<T*>(slots[l]) = all;
    }
  };
  warp_collective(mask, {name, complete, false}, &value, file, line);
  return value;
}

// The width of a shuffle: a power of two up to 32, as the CUDA guide demands.
inline int checked_width(int width) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    fail("shuffle: width %d is no power of two up to 32", width);
  }
  return width;
}

struct VoteSlot {
  int predicate;
  unsigned result;
};
void complete_vote(void** slots, uint32_t mask);
unsigned vote(const char* name, unsigned mask, int predicate, const char* file, int line);

}  // namespace verace::simt::emulator

inline void __syncthreads(SIMT_HERE) {
  verace::simt::emulator::barrier(verace::simt::emulator::Reduce::kNone, 0, file, line);
}
inline int __syncthreads_count(int predicate, SIMT_HERE) {
  using verace::simt::emulator::Reduce;
  return verace::simt::emulator::barrier(Reduce::kCount, predicate, file, line);
}
inline int __syncthreads_and(int predicate, SIMT_HERE) {
  using verace::simt::emulator::Reduce;
  return verace::simt::emulator::barrier(Reduce::kAll, predicate, file, line);
}
inline int __syncthreads_or(int predicate, SIMT_HERE) {
  using verace::simt::emulator::Reduce;
  return verace::simt::emulator::barrier(Reduce::kAny, predicate, file, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_HERE) {
  verace::simt::emulator::warp_collective(mask, {"__syncwarp", nullptr, true}, nullptr, file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_HERE) {
  return verace::simt::emulator::vote("__ballot_sync", mask, predicate, file, line);
}
inline int __any_sync(unsigned mask, int predicate, SIMT_HERE) {
  return verace::simt::emulator::vote("__any_sync", mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_HERE) {
  return verace::simt::emulator::vote("__all_sync", mask, predicate == 0, file, line) == 0;
}

// Where the source lane would lie outside the segment of `width` lanes, a lane keeps its own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_HERE) {
  const int w = verace::simt::emulator::checked_width(width);
  const int own = static_cast<int>(verace::simt::emulator::lane());
  const int from = (own & ~(w - 1)) | (source & (w - 1));
  return verace::simt::emulator::shuffle("__shfl_sync", mask, value, from, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, SIMT_HERE) {
  const int w = verace::simt::emulator::checked_width(width);
  const int own = static_cast<int>(verace::simt::emulator::lane());
  const int from = own ^ lanes;
  const bool outside = from / w > own / w || from < 0 || from > 31;
  return verace::simt::emulator::shuffle("__shfl_xor_sync", mask, value, outside ? own : from, file,
                                         line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_HERE) {
  const int w = verace::simt::emulator::checked_width(width);
  const int own = static_cast<int>(verace::simt::emulator::lane());
  const bool inside = (own & (w - 1)) + static_cast<int64_t>(delta) < w;
  const int from = inside ? own + static_cast<int>(delta) : own;
  return verace::simt::emulator::shuffle("__shfl_down_sync", mask, value, from, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_HERE) {
  const int w = verace::simt::emulator::checked_width(width);
  const int own = static_cast<int>(verace::simt::emulator::lane());
  const bool inside = (own & (w - 1)) >= static_cast<int64_t>(delta);
  const int from = inside ? own - static_cast<int>(delta) : own;
  return verace::simt::emulator::shuffle("__shfl_up_sync", mask, value, from, file, line);
}

// Reductions of a warp: int and unsigned for all, unsigned only for and, or, xor.
#define SIMT_WARP_REDUCTION(name, T, expression)                                   \
  inline T name(unsigned mask, T value, SIMT_HERE) {                               \
    return verace::simt::emulator::reduce(#name, mask, value, file, line,          \
                                          [](T a, T b) { return T(expression); }); \
  }
SIMT_WARP_REDUCTION(__reduce_add_sync, unsigned, a + b)
SIMT_WARP_REDUCTION(__reduce_add_sync, int, a + b)
SIMT_WARP_REDUCTION(__reduce_min_sync, unsigned, a < b ? a : b)
SIMT_WARP_REDUCTION(__reduce_min_sync, int, a < b ? a : b)
SIMT_WARP_REDUCTION(__reduce_max_sync, unsigned, a < b ? b : a)
SIMT_WARP_REDUCTION(__reduce_max_sync, int, a < b ? b : a)
SIMT_WARP_REDUCTION(__reduce_and_sync, unsigned, a& b)
SIMT_WARP_REDUCTION(__reduce_or_sync, unsigned, a | b)
SIMT_WARP_REDUCTION(__reduce_xor_sync, unsigned, a ^ b)
#undef SIMT_WARP_REDUCTION

[[noreturn]] inline void __trap() { verace::simt::emulator::fail("__trap()"); }

inline void __threadfence() { verace::simt::emulator::fence(); }
inline void __threadfence_system() { verace::simt::emulator::fence(); }
inline void __threadfence_block() {}
