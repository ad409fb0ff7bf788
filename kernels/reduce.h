// Reductions to one number in a fixed order: the result does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"
#include "kernels/storage.h"

namespace verace::kernels {

// Partial results that a reduction on kCuda keeps in its `scratch`, in memory of the device; the
// result is there as well. The host devices need no scratch (it may be nullptr).
inline constexpr int64_t kReductionScratch = 1024;

// *result = sum of x (accumulated in double, pieces of fixed size added in order).
struct Sum {
  int64_t count = 0;
  const float* x = nullptr;
  double* result = nullptr;
  double* scratch = nullptr;  // [kReductionScratch]
};

// *result = mean of (a - b)^2 (the difference in float, squares accumulated in double). count > 0.
struct MeanSquaredError {
  int64_t count = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  double* result = nullptr;
  double* scratch = nullptr;  // [kReductionScratch]
};

// *result = number of elements that are NaN or infinite.
template <typename T>
struct CountNonFiniteOf {
  int64_t count = 0;
  const T* x = nullptr;
  int64_t* result = nullptr;
  int64_t* scratch = nullptr;  // [kReductionScratch]
};
using CountNonFinite = CountNonFiniteOf<float>;

namespace cpu {
void sum(const Exec&, const Sum&);
void mean_squared_error(const Exec&, const MeanSquaredError&);
void count_non_finite(const Exec&, const CountNonFinite&);
}  // namespace cpu
namespace reference {
void sum(const Exec&, const Sum&);
void mean_squared_error(const Exec&, const MeanSquaredError&);
void count_non_finite(const Exec&, const CountNonFinite&);
}  // namespace reference

namespace cuda {
void sum(const Exec&, const Sum&);
void mean_squared_error(const Exec&, const MeanSquaredError&);
template <typename T>
void count_non_finite(const Exec&, const CountNonFiniteOf<T>&);
}  // namespace cuda

inline void sum(const Exec& exec, const Sum& args) {
  dispatch(exec, args, cpu::sum, reference::sum, [](auto&... a) { cuda::sum(a...); });
}
inline void mean_squared_error(const Exec& exec, const MeanSquaredError& args) {
  dispatch(exec, args, cpu::mean_squared_error, reference::mean_squared_error,
           [](auto&... a) { cuda::mean_squared_error(a...); });
}
template <typename T = float>
void count_non_finite(const Exec& exec, const CountNonFiniteOf<T>& args) {
  dispatch(exec, args, cpu::count_non_finite, reference::count_non_finite,
           [](auto&... a) { cuda::count_non_finite(a...); });
}

}  // namespace verace::kernels
