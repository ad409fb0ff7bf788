// Random numbers one after the other, for drawing pictures: each is a function of (seed, stream)
// and its position.
#pragma once

#include <cstdint>

#include "engine/rng.h"

namespace verace::data {

class Draws {
 public:
  explicit Draws(const engine::Philox& rng) : rng_(rng) {}

  float between(float low, float high) { return low + (high - low) * rng_.uniform(counter_++); }
  // The mean of three: near the middle more often than near the ends.
  float around(float middle, float reach) {
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += between(-1, 1);
    return middle + reach * sum / 3.0F;
  }
  bool chance(float probability) { return rng_.uniform(counter_++) < probability; }

 private:
  engine::Philox rng_;
  uint64_t counter_ = 0;
};

// A 32-bit word to -1 .. 1.
inline float signed_unit(uint32_t word) {
  return static_cast<float>(word >> 8) * (2.0F / 16777215.0F) - 1.0F;
}

// Philox streams of this room: the top byte says what is drawn (augment.cc has others), so that no
// two things share numbers.
inline uint64_t stream_of(uint8_t subject, int64_t index) {
  return uint64_t{subject} << 56 | static_cast<uint64_t>(index);
}

}  // namespace verace::data
