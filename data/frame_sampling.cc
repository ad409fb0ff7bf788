// The three rules, in whole numbers.
#include "data/frame_sampling.h"

#include <algorithm>

#include "kernels/check.h"

namespace verace::data {
namespace {

// trunc(k * last / parts) for k <= parts, in which the product would overflow for huge numbers.
int64_t scaled(int64_t k, int64_t last, int64_t parts) {
  return last / parts * k + last % parts * k / parts;
}

}  // namespace

std::vector<int64_t> sample_frames(int64_t frames, int64_t wanted, Sampling sampling) {
  VERACE_CHECK(frames >= 0 && wanted >= 1);
  const int64_t count = std::min(frames, wanted);
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(count));
  for (int64_t k = 0; k < count; ++k) {
    int64_t index = k;
    if (count == wanted && sampling == Sampling::kMaxStride) index = frames / wanted * k;
    if (count == wanted && sampling == Sampling::kLinspace && wanted > 1) {
      index = scaled(k, frames - 1, wanted - 1);
    }
    indices.push_back(index);
  }
  return indices;
}

}  // namespace verace::data
