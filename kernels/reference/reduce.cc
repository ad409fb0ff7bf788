// Reductions to one number, plainly.
#include "kernels/reduce.h"

#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::reference {

void sum(const Exec&, const Sum& args) {
  VERACE_CHECK(args.count >= 0);
  double total = 0.0;
  for (int64_t i = 0; i < args.count; ++i) total += static_cast<double>(args.x[i]);
  *args.result = total;
}

void mean_squared_error(const Exec&, const MeanSquaredError& args) {
  VERACE_CHECK(args.count > 0);
  double total = 0.0;
  for (int64_t i = 0; i < args.count; ++i) {
    const double d = static_cast<double>(args.a[i] - args.b[i]);
    total += d * d;
  }
  *args.result = total / static_cast<double>(args.count);
}

void count_non_finite(const Exec&, const CountNonFinite& args) {
  VERACE_CHECK(args.count >= 0);
  int64_t found = 0;
  for (int64_t i = 0; i < args.count; ++i) {
    if (!std::isfinite(args.x[i])) ++found;
  }
  *args.result = found;
}

}  // namespace verace::kernels::reference
