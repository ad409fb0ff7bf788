// Matrix product, as its formula reads.
#include "kernels/gemm.h"

#include "kernels/parallel.h"
#include "kernels/scalar_math.h"

namespace verace::kernels::reference {
namespace {

class Plan final : public GemmPlan {
 public:
  Plan(const Exec& exec, const GemmSpec& spec) : exec_(exec), spec_(spec) { validate(spec); }
  int64_t scratch_bytes() const override { return 0; }
  const char* implementation() const override { return "reference"; }

  void run(const GemmArgs& args) const override {
    validate(spec_, args);
    const GemmSpec& s = spec_;
    parallel_for(exec_, s.m, [&](int64_t i) {
      for (int64_t j = 0; j < s.n; ++j) {
        double sum = 0.0;
        if (s.bias) sum = args.bias[j];
        if (s.accumulate) sum = args.c[i * s.n + j];
        for (int64_t l = 0; l < s.k; ++l) {
          const double a = s.transpose_a ? args.a[l * s.m + i] : args.a[i * s.k + l];
          const double b = s.transpose_b ? args.b[j * s.k + l] : args.b[l * s.n + j];
          sum += a * b;
        }
        args.c[i * s.n + j] = static_cast<float>(s.relu ? leaky_relu(sum, 0.0) : sum);
      }
    });
  }

 private:
  Exec exec_;
  GemmSpec spec_;
};

}  // namespace

std::unique_ptr<GemmPlan> plan_gemm(const Exec& exec, const GemmSpec& spec) {
  return std::make_unique<Plan>(exec, spec);
}

}  // namespace verace::kernels::reference
