// The attack's pixel operations on the CPU, in float32 and in Foolbox' order of operations.
#include "kernels/perturb.h"

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/scalar_math.h"

namespace verace::kernels::cpu {

// Each element is read before the same element is written and no other is touched, so adversarial
// may be x or gradient, and the iterations are independent: what `omp simd` asserts. A NaN gradient
// has sign 0 (as torch.sign has): its pixel stays. A NaN pixel stays NaN.
void fgsm_step(const Exec& exec, const FgsmStep& args) {
  VERACE_CHECK(args.count >= 0 && args.epsilon >= 0.0f && args.low <= args.high);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    const float* x = args.x;
    const float* gradient = args.gradient;
    float* adversarial = args.adversarial;
    const float epsilon = args.epsilon, low = args.low, high = args.high;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      adversarial[i] = fgsm_pixel(x[i], gradient[i], epsilon, low, high);
    }
  });
}

void round_to_eight_bits(const Exec& exec, const RoundToEightBits& args) {
  VERACE_CHECK(args.count >= 0);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    const float* x = args.x;
    float* y = args.y;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = round_to_level(x[i]);
  });
}

}  // namespace verace::kernels::cpu
