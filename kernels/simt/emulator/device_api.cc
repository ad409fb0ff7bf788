// The functions that a kernel calls, handed on to the block that it runs in.
#include "kernels/simt/emulator/device_api.h"

#include <bit>
#include <cstdarg>
#include <cstdio>

#include "kernels/simt/emulator/block.h"
#include "kernels/simt/emulator/checker.h"

__thread uint3 threadIdx, blockIdx;
__thread dim3 blockDim, gridDim;

namespace verace::simt::emulator {

int barrier(Reduce reduce, int predicate, const char* file, int line) {
  return Block::here().barrier(reduce, predicate, file, line);
}
void warp_collective(uint32_t mask, const WarpOperation& operation, void* slot, const char* file,
                     int line) {
  Block::here().warp_collective(mask, operation, slot, file, line);
}
unsigned lane() { return Block::here().lane(); }
void* dynamic_shared() { return Block::here().dynamic_shared(); }

void fail(const char* format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  Block::here().fail(message);
}

void fence() {
  if constexpr (checker::compiled_in) checker::fence();
}
AtomicScope::AtomicScope() {
  if constexpr (checker::compiled_in) checker::atomic(true);
}
AtomicScope::~AtomicScope() {
  if constexpr (checker::compiled_in) checker::atomic(false);
}

void complete_vote(void** slots, uint32_t mask) {
  unsigned votes = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    if (static_cast<const VoteSlot*>(slots[l])->predicate != 0) votes |= 1u << l;
  }
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    static_cast<VoteSlot*>(slots[std::countr_zero(rest)])->result = votes;
  }
}
unsigned vote(const char* name, unsigned mask, int predicate, const char* file, int line) {
  VoteSlot slot{predicate, 0};
  warp_collective(mask, {name, complete_vote, false}, &slot, file, line);
  return slot.result;
}

}  // namespace verace::simt::emulator
