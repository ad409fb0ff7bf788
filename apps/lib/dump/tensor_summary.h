// A tensor in a few numbers.
#pragma once

#include <cstdint>
#include <span>

namespace verace::apps {

// Minimum, maximum, mean and standard deviation (of the population) are over the finite elements;
// NaN if there are none.
struct TensorSummary {
  double min = 0, max = 0, mean = 0, deviation = 0;
  double zero_share = 0;  // elements that are 0 or -0, in [0, 1]
  int64_t nan = 0, infinite = 0;
};

// Sums in double, in two passes (mean first, then squares of the differences from it).
TensorSummary summarise(std::span<const float> values);

}  // namespace verace::apps
