// Which thread of a block runs next: the threads that can run, and the choice among them.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "kernels/simt/emulator/options.h"

namespace verace::simt::emulator {

// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", figure
// 16): each block begins with a seed of its own, which costs the generators of <random> more than
// the block's threads.
class RandomChoices {
 public:
  void seed(uint64_t seed) { state_ = seed; }
  // A number below `n`, which is at least 1.
  unsigned below(unsigned n) {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return static_cast<unsigned>((z >> 32) * n >> 32);
  }

 private:
  uint64_t state_ = 0;
};

class ReadyThreads {
 public:
  static constexpr int kNone = -1;

  // All `threads` can run. Random choices depend on the schedule's seed and the block only.
  void begin_block(unsigned threads, const Schedule& schedule, uint64_t block) {
    order_ = schedule.order;
    warps_.assign((threads + 31) / 32, ~0u);
    if (threads % 32 != 0) warps_.back() = (1u << threads % 32) - 1;
    current_ = order_ == Order::kReverse ? warps() - 1 : 0;
    if (is_random()) random_.seed(schedule.seed * 1000003 + block);
  }

  void add(unsigned thread) { warps_[thread / 32] |= 1u << thread % 32; }

  // Takes the next thread out, kNone if none can run.
  int take() {
    choose_warp();
    uint32_t& lanes = warps_[current_];
    if (lanes == 0) return kNone;
    const unsigned lane = choose_lane(lanes);
    lanes &= ~(1u << lane);
    return static_cast<int>(current_ * 32 + lane);
  }

 private:
  unsigned warps() const { return static_cast<unsigned>(warps_.size()); }
  bool is_random() const { return order_ >= Order::kRandom; }

  // The current warp goes on for as long as it can, except under kScatter.
  void choose_warp() {
    if (order_ == Order::kScatter) {
      current_ = random_.below(warps());
    } else if (warps_[current_] != 0) {
      return;
    }
    const unsigned start = order_ == Order::kRandom ? random_.below(warps()) : current_;
    const bool down = order_ == Order::kReverse;
    unsigned warp = start;
    do {
      if (warps_[warp] != 0) {
        current_ = warp;
        return;
      }
      if (down) {
        warp = (warp == 0 ? warps() : warp) - 1;
      } else {
        warp = warp + 1 == warps() ? 0 : warp + 1;
      }
    } while (warp != start);
  }

  unsigned choose_lane(uint32_t lanes) {
    if (order_ == Order::kReverse) return 31u - static_cast<unsigned>(std::countl_zero(lanes));
    if (is_random()) {
      unsigned skip = random_.below(static_cast<unsigned>(std::popcount(lanes)));
      for (; skip > 0; --skip) lanes &= lanes - 1;
    }
    return static_cast<unsigned>(std::countr_zero(lanes));
  }

  Order order_ = Order::kForward;
  std::vector<uint32_t> warps_;  // bit = lane
  unsigned current_ = 0;
  RandomChoices random_;
};

}  // namespace verace::simt::emulator
