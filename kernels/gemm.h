// Matrix product of row-major matrices: C = op(A) * op(B) (+ C) (+ bias).
#pragma once

#include <cstdint>

#include "kernels/exec.h"

namespace verace::kernels {

struct Gemm {
  int64_t m = 0, n = 0, k = 0;  // op(A) is [m, k], op(B) is [k, n], C is [m, n]
  bool transpose_a = false;     // then A is stored as [k, m]
  bool transpose_b = false;     // then B is stored as [n, k]
  const float* a = nullptr;
  const float* b = nullptr;
  const float* bias = nullptr;  // [n], added to each row; nullptr: none (not with accumulate)
  float* c = nullptr;           // [m, n], row-major, no padding
  bool accumulate = false;      // false: C is overwritten (never read); true: added to
};

namespace cpu {
void gemm(const Exec&, const Gemm&);
}
namespace reference {
void gemm(const Exec&, const Gemm&);
}

// Throws Error(kInternal) on negative sizes or bias together with accumulate.
inline void gemm(const Exec& exec, const Gemm& args) {
  dispatch(exec, args, cpu::gemm, reference::gemm);
}

}  // namespace verace::kernels
