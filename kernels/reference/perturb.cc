// The attack's pixel operations, one statement per step of Foolbox' float32 computation.
#include "kernels/perturb.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::reference {

// In float, not in double: the contract is equality with Foolbox to the bit. A NaN gradient counts
// as 0.
void fgsm_step(const Exec&, const FgsmStep& args) {
  VERACE_CHECK(args.count >= 0 && args.epsilon >= 0.0f && args.low <= args.high);
  for (int64_t i = 0; i < args.count; ++i) {
    const float x = args.x[i], gradient = args.gradient[i];
    float sign = 0.0f;
    if (gradient > 0.0f) sign = 1.0f;
    if (gradient < 0.0f) sign = -1.0f;
    const float moved = x + args.epsilon * sign;
    const float difference = std::clamp(moved - x, -args.epsilon, args.epsilon);
    args.adversarial[i] = std::clamp(x + difference, args.low, args.high);
  }
}

// Ties go to the even number, as in NumPy's and PyTorch's round.
void round_to_eight_bits(const Exec&, const RoundToEightBits& args) {
  VERACE_CHECK(args.count >= 0);
  for (int64_t i = 0; i < args.count; ++i) args.y[i] = std::nearbyint(args.x[i] * 255.0f) / 255.0f;
}

}  // namespace verace::kernels::reference
