// Adam over any number of parameter tensors in one call.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec.h"
#include "kernels/scalar_math.h"

namespace verace::kernels {

// One parameter tensor with its gradient and moments, all of `count` floats; w, m, v are updated in
// place.
struct AdamTensor {
  float* w = nullptr;
  const float* g = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  int64_t count = 0;
};

// One step (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1; the formula is adam_update in
// scalar_math.h). No weight decay.
struct AdamStep {
  std::span<const AdamTensor> tensors;
  AdamFactors factors{};
};

namespace cpu {
void adam_step(const Exec&, const AdamStep&);
}
namespace reference {
void adam_step(const Exec&, const AdamStep&);
}

inline void adam_step(const Exec& exec, const AdamStep& args) {
  dispatch(exec, args, cpu::adam_step, reference::adam_step);
}

}  // namespace verace::kernels
