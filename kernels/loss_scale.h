// Dynamic loss scaling for 16-bit gradients: is any of them not finite, unscaling, and the rule by
// which the scale changes.
//
// Micikevicius et al. 2018, arXiv 1710.03740, section 3.2: the loss is multiplied by a scale, so
// that small gradients do not vanish in fp16; the gradients are divided by it before they are used;
// a step whose gradients overflowed is left out. The rule is that of PyTorch's GradScaler.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec.h"
#include "kernels/scalar_math.h"
#include "kernels/storage.h"

namespace verace::kernels {

// Where the scale stands; lives in memory of the device, so that no step waits for the host.
struct LossScaleState {
  float scale = 65536.0f;
  int32_t good_steps = 0;  // steps without overflow since the scale last changed
  int32_t skipped = 0;     // steps that overflowed, all of them
};

// Powers of two keep scaling exact.
struct LossScaleRule {
  float growth = 2.0f;   // after `interval` good steps in a row
  float backoff = 0.5f;  // at once after an overflow
  int32_t interval = 2000;
  float smallest = 1.0f, largest = 16777216.0f;  // the scale stays between them
};

// The state after a step that overflowed or did not.
VERACE_HOST_DEVICE inline LossScaleState next_loss_scale(const LossScaleRule& rule,
                                                         const LossScaleState& state,
                                                         bool overflow) {
  const int32_t skipped = state.skipped + (overflow ? 1 : 0);
  if (overflow) return {clip(state.scale * rule.backoff, rule.smallest, rule.largest), 0, skipped};
  if (state.good_steps + 1 < rule.interval) return {state.scale, state.good_steps + 1, skipped};
  return {clip(state.scale * rule.growth, rule.smallest, rule.largest), 0, skipped};
}

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
