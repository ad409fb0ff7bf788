// Order between blocks for the access checker: what a fence covers, an atomic access publishes and
// another acquires.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "kernels/simt/emulator/shadow.h"

namespace verace::simt::emulator::checker {

struct Segment {
  uint32_t block, thread, epoch, clock;
};

// For each atomic variable of the launch (in the order of their first use) how many of its
// publications are known.
using Known = std::vector<uint32_t>;

// What a thread had done, or was ordered after, when it called __threadfence.
struct Fence {
  uint32_t block, thread, epoch;
  SegmentId next;     // of the thread's own segments those before this one
  uint32_t seen[32];  // of the lanes of its warp
  Known known;
  bool covers(SegmentId id, const Segment& segment) const;
};

class Fences {
 public:
  void begin_launch();
  void begin_block();
  void fence(Fence fence);  // by fence.thread; its `known` is filled in here
  // An atomic access of the running block: takes over what others published in that variable, and
  // publishes what the thread's last fence covers.
  void atomic(uint32_t thread, uintptr_t variable);
  // The threads' knowledge spreads.
  void barrier();
  void sync_warp(unsigned warp, uint32_t mask);
  // Whether thread `thread` of the running block knows that the segment of another block is over.
  bool is_known(uint32_t thread, SegmentId id, const Segment& segment) const;

 private:
  struct Publication {
    uint32_t number;
    Fence fence;
  };
  struct Variable {
    std::map<uint32_t, std::vector<Publication>> by_block;
    uint32_t publications = 0;
    Known known;  // to those who published here
  };
  Known known_to(uint32_t thread) const;

  std::map<uintptr_t, size_t> index_;  // into variables_
  std::vector<Variable> variables_;
  std::map<uint32_t, Fence> fences_;  // the last of each thread of the block
  std::map<uint32_t, Known> own_;     // by thread; since the last barrier
  Known block_;                       // known to all threads of the block
};

}  // namespace verace::simt::emulator::checker
