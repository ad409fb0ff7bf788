// The rule by which a dynamic loss scale changes (kernels/loss_scale.h has the operations).
#pragma once

#include <cstdint>

#include "kernels/scalar_math.h"

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

}  // namespace verace::kernels
