// FGSM from one gradient for any number of epsilons.
#include "optim/attack.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/perturb.h"

namespace verace::optim {

Fgsm::Fgsm(const kernels::Exec& exec, engine::Differentiable& model,
           std::span<const float> pictures, std::span<const int32_t> labels)
    : exec_(kernels::host_beside(exec)), pictures_(pictures.begin(), pictures.end()) {
  VERACE_CHECK(pictures.size() == labels.size() * static_cast<size_t>(model.picture_count()));
  for (const float pixel : pictures) {
    if (!(pixel >= 0.0f && pixel <= 1.0f)) {
      fail_input(text::format("the attack needs pixels in [0, 1], but one is {}", pixel));
    }
  }
  logits_.resize(labels.size() * static_cast<size_t>(model.class_count()));
  gradient_.resize(pictures.size());
  model.gradient(pictures, labels, logits_, gradient_);
}

std::vector<float> Fgsm::adversarial(float epsilon) const {
  if (!(epsilon >= 0.0f) || !std::isfinite(epsilon)) {
    fail_input(text::format("--epsilon {}: must be a number >= 0, in units of pixels from 0 to 1",
                            epsilon));
  }
  std::vector<float> result(pictures_.size());
  kernels::fgsm_step(exec_, {.count = static_cast<int64_t>(result.size()),
                             .x = pictures_.data(),
                             .gradient = gradient_.data(),
                             .epsilon = epsilon,
                             .adversarial = result.data()});
  return result;
}

std::vector<int32_t> arg_max(std::span<const float> logits, int64_t classes) {
  VERACE_CHECK(classes > 0 && logits.size() % static_cast<size_t>(classes) == 0);
  std::vector<int32_t> result;
  for (auto row = logits.begin(); row != logits.end(); row += classes) {
    result.push_back(static_cast<int32_t>(std::max_element(row, row + classes) - row));
  }
  return result;
}

}  // namespace verace::optim
