// Adversarial attacks on anything Differentiable. FGSM with Foolbox 3's meaning (semantics.md D).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/differentiable.h"
#include "kernels/exec.h"

namespace verace::optim {

// One batch under FGSM (Goodfellow et al. 2015, arXiv 1412.6572). Pictures lie in [0, 1] and
// epsilon is in these units. All samples are perturbed, also those that are misclassified already.
// One gradient serves any number of epsilons.
class Fgsm {
 public:
  // Takes logits and gradient at `pictures` [n, h, w, 3] for `labels` [n]. Throws Error(kInput) on
  // pixels outside [0, 1].
  Fgsm(const kernels::Exec& exec, engine::Differentiable& model, std::span<const float> pictures,
       std::span<const int32_t> labels);

  // clip(x + epsilon * sign(gradient), 0, 1), [n, h, w, 3]. Throws Error(kInput) for epsilon < 0 or
  // not finite.
  std::vector<float> adversarial(float epsilon) const;

  // Logits of the clean pictures [n, classes], and the gradient [n, h, w, 3].
  std::span<const float> logits() const { return logits_; }
  std::span<const float> gradient() const { return gradient_; }

 private:
  kernels::Exec exec_;
  std::vector<float> pictures_, logits_, gradient_;
};

// Index of the largest of each row of logits [n, classes]; the first of equals.
std::vector<int32_t> arg_max(std::span<const float> logits, int64_t classes);

}  // namespace verace::optim
