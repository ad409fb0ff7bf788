// Matrix product by oneDNN's sgemm.
#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/activation.h"
#include "kernels/check.h"
#include "kernels/onednn/runtime.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

class Plan final : public GemmPlan {
 public:
  Plan(const Exec& exec, const GemmSpec& spec) : exec_(exec), spec_(spec) { validate(spec); }
  int64_t scratch_bytes() const override { return 0; }
  const char* implementation() const override { return "sgemm"; }

  void run(const GemmArgs& args) const override {
    validate(spec_, args);
    const GemmSpec& s = spec_;
    if (s.bias) {
      parallel_for(exec_, s.m,
                   [&](int64_t row) { std::copy_n(args.bias, s.n, args.c + row * s.n); });
    }
    multiply(args, s.accumulate || s.bias);
    if (s.relu) leaky_relu_forward(exec_, {s.m * s.n, args.c, 0.0f, args.c});
  }

 private:
  void multiply(const GemmArgs& args, bool add) const {
    const GemmSpec& s = spec_;
    const onednn::ThreadScope threads(exec_.threads);
    // Row-major C API. beta 0 means that C is not read, as in BLAS.
    const dnnl_status_t status =
        dnnl_sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.0f,
                   args.a, s.transpose_a ? s.m : s.k, args.b, s.transpose_b ? s.k : s.n,
                   add ? 1.0f : 0.0f, args.c, s.n);
    VERACE_CHECK(status == dnnl_success, to_string(s));
  }

  Exec exec_;
  GemmSpec spec_;
};

}  // namespace

std::unique_ptr<GemmPlan> plan_gemm(const Exec& exec, const GemmSpec& spec) {
  return std::make_unique<Plan>(exec, spec);
}

}  // namespace verace::kernels::cpu
