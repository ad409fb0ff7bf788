// Matrix product, as its formula reads.
#include "kernels/gemm.h"

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::reference {

void gemm(const Exec& exec, const Gemm& g) {
  VERACE_CHECK(g.m >= 0 && g.n >= 0 && g.k >= 0);
  VERACE_CHECK(g.bias == nullptr || !g.accumulate);
  parallel_for(exec, g.m, [&](int64_t i) {
    for (int64_t j = 0; j < g.n; ++j) {
      double sum = 0.0;
      if (g.bias != nullptr) sum = g.bias[j];
      if (g.accumulate) sum = g.c[i * g.n + j];
      for (int64_t l = 0; l < g.k; ++l) {
        const double a = g.transpose_a ? g.a[l * g.m + i] : g.a[i * g.k + l];
        const double b = g.transpose_b ? g.b[j * g.k + l] : g.b[l * g.n + j];
        sum += a * b;
      }
      g.c[i * g.n + j] = static_cast<float>(sum);
    }
  });
}

}  // namespace verace::kernels::reference
