// The few numbers of a tensor.
#include "apps/lib/dump/tensor_summary.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace verace::apps {

TensorSummary summarise(std::span<const float> values) {
  TensorSummary s;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double least = kInfinity, most = -kInfinity, sum = 0;
  int64_t zeros = 0, finite = 0;
  for (const float v : values) {
    s.nan += std::isnan(v);
    s.infinite += std::isinf(v);
    if (!std::isfinite(v)) continue;
    ++finite;
    zeros += v == 0.0F;
    least = std::min(least, static_cast<double>(v));
    most = std::max(most, static_cast<double>(v));
    sum += v;
  }
  if (!values.empty()) {
    s.zero_share = static_cast<double>(zeros) / static_cast<double>(values.size());
  }
  if (finite == 0) {
    s.min = s.max = s.mean = s.deviation = kNone;
    return s;
  }
  s.min = least + 0.0;  // no "-0" for people
  s.max = most + 0.0;
  s.mean = sum / static_cast<double>(finite);
  double squares = 0;
  for (const float v : values) {
    if (std::isfinite(v)) squares += (v - s.mean) * (v - s.mean);
  }
  s.deviation = std::sqrt(squares / static_cast<double>(finite));
  return s;
}

}  // namespace verace::apps
