// check_gradient(): an analytic gradient against central differences in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/compare.h"

namespace verace::test {

struct GradientOptions {
  double epsilon = 1e-4;  // step of the difference; its own error is of order epsilon^2
  Tolerance tolerance;
  double max_excluded_share =
      0.1;  // more kinks than this and the check proves too little: it fails
  double expected_zero_share = 0.0;  // as in compare()
};

// f: scalar function of x (weight several outputs with random numbers, never a plain sum: gradients
// that must cancel would go unseen). kink_excluded(i): true where f is not differentiable near
// x[i]; may be empty.
inline Comparison check_gradient(const std::function<double(const std::vector<double>&)>& f,
                                 std::vector<double> x, std::span<const double> analytic,
                                 const GradientOptions& options,
                                 const std::function<bool(int64_t)>& kink_excluded = {}) {
  if (x.size() != analytic.size()) return detail::failed("gradient and argument differ in size");
  std::vector<double> got, want;
  size_t excluded = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (kink_excluded && kink_excluded(static_cast<int64_t>(i))) {
      ++excluded;
      continue;
    }
    const double here = x[i];
    x[i] = here + options.epsilon;
    const double above = f(x);
    x[i] = here - options.epsilon;
    const double below = f(x);
    x[i] = here;
    got.push_back(analytic[i]);
    want.push_back((above - below) / (2 * options.epsilon));
  }
  const double share =
      static_cast<double>(excluded) / static_cast<double>(x.empty() ? 1 : x.size());
  if (!(share <= options.max_excluded_share)) {
    std::ostringstream text;
    text << 100.0 * share << " % of the elements lie at kinks, allowed "
         << 100.0 * options.max_excluded_share << " %";
    return detail::failed(text.str());
  }
  // A difference of order rounding stands for an exact zero: it must count as one.
  for (double& w : want) {
    if (std::abs(w) < 1e-3 * options.tolerance.absolute) w = 0.0;
  }
  return compare(std::span<const double>(got), std::span<const double>(want), options.tolerance,
                 options.expected_zero_share);
}

inline Comparison check_gradient(const std::function<double(const std::vector<double>&)>& f,
                                 const std::vector<double>& x, std::span<const float> analytic,
                                 const GradientOptions& options,
                                 const std::function<bool(int64_t)>& kink_excluded = {}) {
  const std::vector<double> wide(analytic.begin(), analytic.end());
  return check_gradient(f, x, std::span<const double>(wide), options, kink_excluded);
}

}  // namespace verace::test
