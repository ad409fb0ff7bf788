// Adam over any number of parameter tensors in one call.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/dispatch.h"
#include "kernels/scalar_math.h"
#include "kernels/storage.h"

namespace verace::kernels {

// One parameter tensor with its gradient and moments, all of `count` elements; w, m, v are updated
// in place. None of them may overlap.
struct AdamTensor {
  float* w = nullptr;             // the fp32 master weights
  AnyStorage<const void> g = {};  // of any storage type
  float* m = nullptr;
  float* v = nullptr;
  int64_t count = 0;
  AnyStorage<void> copy = {};  // overwritten with w rounded to its type, for the next step's
                               // forward pass; nullptr: not wanted
};

// One step (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1; the formula is adam_update in
// scalar_math.h). No weight decay.
//
// The pointers are read when the step runs, on its device: nothing waits for the host, and a
// captured step is replayed with whatever stands there by then.
struct AdamStep {
  std::span<const AdamTensor> tensors;
  AdamFactors factors{};
  const AdamFactors* live_factors = nullptr;  // used instead of `factors`, unless nullptr
  const float* gradient_scale = nullptr;  // the gradients are this much too large (loss scaling;
                                          // do not unscale() them as well)
  const uint32_t* skip = nullptr;         // not 0: nothing changes (a gradient was not finite)
};

// Moves *steps, the number of steps taken, on by one and writes that step's factors, unless *skip
// is not 0: then both stay. All in memory of the device: with it Adam needs no host between steps.
struct AdamAdvance {
  AdamEpsilon placement = AdamEpsilon::kPyTorch;
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  const uint32_t* skip = nullptr;  // or nullptr
  int64_t* steps = nullptr;        // updated in place
  AdamFactors* factors = nullptr;  // overwritten
};

// What adam_advance() does, on any device.
VERACE_HOST_DEVICE inline void advance(const AdamAdvance& a) {
  if (a.skip != nullptr && *a.skip != 0) return;
  *a.steps += 1;
  *a.factors = adam_factors(a.placement, a.lr, a.beta1, a.beta2, a.epsilon, *a.steps);
}

namespace cpu {
void adam_step(const Exec&, const AdamStep&);
void adam_advance(const Exec&, const AdamAdvance&);
}  // namespace cpu
namespace reference {
void adam_step(const Exec&, const AdamStep&);
void adam_advance(const Exec&, const AdamAdvance&);
}  // namespace reference
namespace cuda {
void adam_step(const Exec&, const AdamStep&);
void adam_advance(const Exec&, const AdamAdvance&);
}  // namespace cuda

inline void adam_step(const Exec& exec, const AdamStep& args) {
  dispatch(exec, args, cpu::adam_step, reference::adam_step,
           [](auto&... a) { cuda::adam_step(a...); });
}
inline void adam_advance(const Exec& exec, const AdamAdvance& args) {
  dispatch(exec, args, cpu::adam_advance, reference::adam_advance,
           [](auto&... a) { cuda::adam_advance(a...); });
}

}  // namespace verace::kernels
