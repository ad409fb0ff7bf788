// The attack's step on pixels: signed gradient, projection, clipping.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace verace::kernels {

// FGSM (Goodfellow et al. 2015, arXiv 1412.6572, section 4) exactly as Foolbox 3 computes it in
// float32 (semantics.md D): t = x + epsilon * sign(g); d = clip(t - x, -epsilon, epsilon); adv =
// clip(x + d, low, high). sign(0) = 0, also of a NaN gradient. epsilon in the units of the pixels,
// >= 0; x must lie in [low, high].
struct FgsmStep {
  int64_t count = 0;
  const float* x = nullptr;
  const float* gradient = nullptr;
  float epsilon = 0.0f;
  float low = 0.0f, high = 1.0f;
  float* adversarial = nullptr;  // overwritten; may alias x or gradient
};

// y = round(x * 255) / 255, ties to even: what is left of a picture in [0, 1] after it was stored
// with 8 bits per channel.
struct RoundToEightBits {
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;  // may alias x
};

namespace cpu {
void fgsm_step(const Exec&, const FgsmStep&);
void round_to_eight_bits(const Exec&, const RoundToEightBits&);
}  // namespace cpu
namespace reference {
void fgsm_step(const Exec&, const FgsmStep&);
void round_to_eight_bits(const Exec&, const RoundToEightBits&);
}  // namespace reference

namespace cuda {
void fgsm_step(const Exec&, const FgsmStep&);
void round_to_eight_bits(const Exec&, const RoundToEightBits&);
}  // namespace cuda

inline void fgsm_step(const Exec& exec, const FgsmStep& args) {
  dispatch(exec, args, cpu::fgsm_step, reference::fgsm_step,
           [](auto&... a) { cuda::fgsm_step(a...); });
}
inline void round_to_eight_bits(const Exec& exec, const RoundToEightBits& args) {
  dispatch(exec, args, cpu::round_to_eight_bits, reference::round_to_eight_bits,
           [](auto&... a) { cuda::round_to_eight_bits(a...); });
}

}  // namespace verace::kernels
