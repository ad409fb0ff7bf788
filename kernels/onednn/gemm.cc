// Matrix product by oneDNN's sgemm.
#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/onednn/runtime.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {

namespace {

void fill_rows(const Exec& exec, const Gemm& g) {
  parallel_for(exec, g.m, [&](int64_t row) { std::copy_n(g.bias, g.n, g.c + row * g.n); });
}

}  // namespace

void gemm(const Exec& exec, const Gemm& g) {
  VERACE_CHECK(g.m >= 0 && g.n >= 0 && g.k >= 0);
  VERACE_CHECK(g.bias == nullptr || !g.accumulate);
  if (g.m == 0 || g.n == 0) return;
  VERACE_CHECK(g.c != nullptr && (g.k == 0 || (g.a != nullptr && g.b != nullptr)));
  if (g.bias != nullptr) fill_rows(exec, g);
  const bool add = g.accumulate || g.bias != nullptr;
  if (g.k == 0) {  // an empty sum; the library leaves open what it does then
    if (!add) std::fill_n(g.c, g.m * g.n, 0.0f);
    return;
  }
  const onednn::ThreadScope threads(exec.threads);
  // Row-major C API. beta 0 means that C is not read, as in BLAS.
  const dnnl_status_t status = dnnl_sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m,
                                          g.n, g.k, 1.0f, g.a, g.transpose_a ? g.m : g.k, g.b,
                                          g.transpose_b ? g.k : g.n, add ? 1.0f : 0.0f, g.c, g.n);
  VERACE_CHECK(status == dnnl_success);
}

}  // namespace verace::kernels::cpu
