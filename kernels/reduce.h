// Reductions to one number in a fixed order: the result does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "kernels/exec.h"

namespace verace::kernels {

// *result = sum of x (accumulated in double, pieces of fixed size added in order).
struct Sum {
  int64_t count = 0;
  const float* x = nullptr;
  double* result = nullptr;
};

// *result = mean of (a - b)^2 (the difference in float, squares accumulated in double). count > 0.
struct MeanSquaredError {
  int64_t count = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  double* result = nullptr;
};

// *result = number of elements that are NaN or infinite.
struct CountNonFinite {
  int64_t count = 0;
  const float* x = nullptr;
  int64_t* result = nullptr;
};

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

inline void sum(const Exec& exec, const Sum& args) {
  dispatch(exec, args, cpu::sum, reference::sum);
}
inline void mean_squared_error(const Exec& exec, const MeanSquaredError& args) {
  dispatch(exec, args, cpu::mean_squared_error, reference::mean_squared_error);
}
inline void count_non_finite(const Exec& exec, const CountNonFinite& args) {
  dispatch(exec, args, cpu::count_non_finite, reference::count_non_finite);
}

}  // namespace verace::kernels
