// Dynamic loss scaling for 16-bit gradients: is any of them not finite, unscaling, and the rule by
// which the scale changes.
//
// Micikevicius et al. 2018, arXiv 1710.03740, section 3.2: the loss is multiplied by a scale, so
// that small gradients do not vanish in fp16; the gradients are divided by it before they are used;
// a step whose gradients overflowed is left out. The rule is that of PyTorch's GradScaler.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/dispatch.h"
#include "kernels/loss_scale_rule.h"
#include "kernels/storage.h"

namespace verace::kernels {

// Sets *found to 1 when an element of any tensor is NaN or infinite, else leaves it alone: several
// calls may share one flag, which starts at 0.
struct FindNonFinite {
  std::span<const ConstStorageTensor> tensors;
  uint32_t* found = nullptr;
};

// x = x * (1 / *scale), rounded to x's type, for every tensor in place.
struct Unscale {
  std::span<const StorageTensor> tensors;
  const float* scale = nullptr;
};

// *state = next_loss_scale(rule, *state, *found != 0); *found = 0, ready for the next step.
struct UpdateLossScale {
  LossScaleRule rule;
  LossScaleState* state = nullptr;
  uint32_t* found = nullptr;
};

namespace cpu {
void find_non_finite(const Exec&, const FindNonFinite&);
void unscale(const Exec&, const Unscale&);
void update_loss_scale(const Exec&, const UpdateLossScale&);
}  // namespace cpu
namespace reference {
void find_non_finite(const Exec&, const FindNonFinite&);
void unscale(const Exec&, const Unscale&);
void update_loss_scale(const Exec&, const UpdateLossScale&);
}  // namespace reference
namespace cuda {
void find_non_finite(const Exec&, const FindNonFinite&);
void unscale(const Exec&, const Unscale&);
void update_loss_scale(const Exec&, const UpdateLossScale&);
}  // namespace cuda

inline void find_non_finite(const Exec& exec, const FindNonFinite& args) {
  dispatch(exec, args, cpu::find_non_finite, reference::find_non_finite,
           [](auto&... a) { cuda::find_non_finite(a...); });
}
inline void unscale(const Exec& exec, const Unscale& args) {
  dispatch(exec, args, cpu::unscale, reference::unscale, [](auto&... a) { cuda::unscale(a...); });
}
inline void update_loss_scale(const Exec& exec, const UpdateLossScale& args) {
  dispatch(exec, args, cpu::update_loss_scale, reference::update_loss_scale,
           [](auto&... a) { cuda::update_loss_scale(a...); });
}

}  // namespace verace::kernels
