// Reductions on the CPU: fixed pieces, fixed lanes inside a piece, everything added in order.
#include "kernels/reduce.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

// Independent sums inside a piece, so that the loop vectorises without the compiler reordering
// additions.
constexpr int64_t kLanes = 32;

// Sum over [0, count) of term(i), a double.
template <typename Term>
double sum_terms(const Exec& exec, int64_t count, const Term& term) {
  const int64_t pieces = (count + kElementGrain - 1) / kElementGrain;
  const auto partial = std::make_unique<double[]>(static_cast<size_t>(pieces));
  parallel_ranges(exec, count, kElementGrain, [&](int64_t begin, int64_t end) {
    double lanes[kLanes] = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
      for (int64_t k = 0; k < kLanes; ++k) lanes[k] += term(i + k);
    }
    for (int64_t k = 0; i + k < end; ++k) lanes[k] += term(i + k);
    double sum = 0.0;
    for (const double lane : lanes) sum += lane;
    partial[static_cast<size_t>(begin / kElementGrain)] = sum;
  });
  double total = 0.0;
  for (int64_t p = 0; p < pieces; ++p) total += partial[static_cast<size_t>(p)];
  return total;
}

}  // namespace

void sum(const Exec& exec, const Sum& args) {
  VERACE_CHECK(args.count >= 0);
  const float* x = args.x;
  *args.result = sum_terms(exec, args.count, [x](int64_t i) { return static_cast<double>(x[i]); });
}

void mean_squared_error(const Exec& exec, const MeanSquaredError& args) {
  VERACE_CHECK(args.count > 0);
  const float *a = args.a, *b = args.b;
  const double total = sum_terms(exec, args.count, [a, b](int64_t i) {
    const double d = static_cast<double>(a[i] - b[i]);
    return d * d;
  });
  *args.result = total / static_cast<double>(args.count);
}

void count_non_finite(const Exec& exec, const CountNonFinite& args) {
  VERACE_CHECK(args.count >= 0);
  const int64_t pieces = (args.count + kElementGrain - 1) / kElementGrain;
  const auto partial = std::make_unique<int64_t[]>(static_cast<size_t>(pieces));
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    constexpr uint32_t kExponent = 0x7F800000u;  // all ones: NaN or infinity
    const float* x = args.x;
    int32_t found = 0;
#pragma omp simd reduction(+ : found)
    for (int64_t i = begin; i < end; ++i) {
      found += (std::bit_cast<uint32_t>(x[i]) & kExponent) == kExponent ? 1 : 0;
    }
    partial[static_cast<size_t>(begin / kElementGrain)] = found;
  });
  int64_t total = 0;
  for (int64_t p = 0; p < pieces; ++p) total += partial[static_cast<size_t>(p)];
  *args.result = total;
}

}  // namespace verace::kernels::cpu
