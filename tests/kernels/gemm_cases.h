// Matrix products to test with, what they must give, and how one is run between canaries.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/gemm.h"
#include "tests/support/compare.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::test {

inline constexpr float kGemmNan = std::numeric_limits<float>::quiet_NaN();

struct GemmCase {
  kernels::GemmSpec spec;
  bool integers = false;
  std::vector<float> a, b, bias, c;  // c: what stands there before
};

// Numbers in [-1, 1], or small integers, for which every sum is exact.
inline GemmCase make_gemm_case(const kernels::GemmSpec& spec, bool integers) {
  uint64_t seed = static_cast<uint64_t>(spec.m * 1000 + spec.n * 100 + spec.k);
  const auto data = [&](int64_t count) {
    ++seed;
    return integers ? small_integers(count, seed, 5) : uniform(count, seed);
  };
  GemmCase c;
  c.spec = spec;
  c.integers = integers;
  c.a = data(spec.m * spec.k);
  c.b = data(spec.k * spec.n);
  c.bias = data(spec.n);
  c.c = data(spec.m * spec.n);
  return c;
}

// Outer products added up: one column of op(A) times one row of op(B) after the other.
inline std::vector<double> gemm_oracle(const GemmCase& c) {
  const kernels::GemmSpec& s = c.spec;
  std::vector<double> want(static_cast<size_t>(s.m * s.n), 0.0);
  const auto at = [&](int64_t i, int64_t j) -> double& {
    return want[static_cast<size_t>(i * s.n + j)];
  };
  for (int64_t i = 0; i < s.m * s.n; ++i) {
    if (s.accumulate) at(0, i) = c.c[static_cast<size_t>(i)];
    if (s.bias) at(0, i) += c.bias[static_cast<size_t>(i % s.n)];
  }
  const int64_t a_row = s.transpose_a ? 1 : s.k, a_col = s.transpose_a ? s.m : 1;
  const int64_t b_row = s.transpose_b ? 1 : s.n, b_col = s.transpose_b ? s.k : 1;
  for (int64_t l = 0; l < s.k; ++l) {
    for (int64_t i = 0; i < s.m; ++i) {
      const double a = c.a[static_cast<size_t>(i * a_row + l * a_col)];
      for (int64_t j = 0; j < s.n; ++j)
        at(i, j) += a * c.b[static_cast<size_t>(l * b_row + j * b_col)];
    }
  }
  if (s.relu) {
    for (double& v : want) v = v < 0.0 ? 0.0 : v;  // a NaN stays one
  }
  return want;
}

// Runs the plan of `exec` once; its scratch lies on a boundary of 64 bytes and no better one.
inline std::vector<float> run_gemm(const kernels::Exec& exec, const GemmCase& c) {
  constexpr int64_t kBoundary = 64;
  const auto plan = kernels::plan_gemm(exec, c.spec);
  const Guarded<float> a(c.a), b(c.b), bias(c.bias);
  Guarded<float> out(c.spec.m * c.spec.n, kGemmNan);  // must not be read unless accumulating
  if (c.spec.accumulate) std::ranges::copy(c.c, out.write().begin());
  Guarded<std::byte> scratch(plan->scratch_bytes() + kBoundary);
  plan->run({.a = a.data(),
             .b = b.data(),
             .bias = c.spec.bias ? bias.data() : nullptr,
             .c = out.data(),
             .scratch = plan->scratch_bytes() == 0 ? nullptr : scratch.data() + kBoundary});
  CHECK(out.intact());
  CHECK(scratch.intact());
  return out.copy();
}

using GemmOp = std::function<std::vector<float>(const kernels::Exec&, const GemmCase&)>;

// Whether what `op` makes of the case is what the oracle makes of it.
inline Comparison check_gemm(const kernels::Exec& exec, const GemmCase& c, const GemmOp& op) {
  const OpClass kind = c.integers ? OpClass::kExact : OpClass::kMatrixProduct;
  // A ReLU closes half of the outputs, in small cases more.
  const double zeros = c.spec.relu ? 0.75 : 0.0;
  return compare(op(exec, c), gemm_oracle(c), tolerance(kind, c.spec.k + 1), zeros);
}

}  // namespace verace::test
