// Counter-based random numbers: a value is a function of (seed, stream, counter), equal on every
// device and in any order.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace verace::engine {

// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
// The key is the seed; the stream is the upper half of the counter, so streams of one seed never
// overlap.
class Philox {
 public:
  explicit Philox(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  // Four independent uniform 32-bit words for `counter`.
  std::array<uint32_t, 4> block(uint64_t counter) const;
  // Uniform in [0, 1) with 24 random bits.
  float uniform(uint64_t counter) const;
  // Uniform in [0, bound), bound > 0; bias below bound / 2^64.
  uint64_t below(uint64_t counter, uint64_t bound) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

// The stream of what has a name, a parameter's numbers for example: FNV-1a (kernels/hash.h).
// Initial weights depend on it, so it stays as it is.
uint64_t stream_of(std::string_view name);

}  // namespace verace::engine
