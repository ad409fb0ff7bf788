// Softmax and cross-entropy, written down as in the textbook, in double.
#include "kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/check.h"

namespace verace::kernels::reference {
namespace {

std::vector<double> softmax(const float* x, int64_t classes) {
  // The largest logit is subtracted first: exp of it would overflow, and the quotient stays the
  // same.
  const double largest = *std::max_element(x, x + classes);
  std::vector<double> p(x, x + classes);
  double total = 0.0;
  for (double& value : p) {
    value = std::exp(value - largest);
    total += value;
  }
  for (double& value : p) value /= total;
  return p;
}

// log(sum of exp(x)) - x[label], with the largest logit taken out of the sum.
double loss_of_logits(const float* x, int64_t classes, int64_t label) {
  const double largest = *std::max_element(x, x + classes);
  double total = 0.0;
  for (int64_t j = 0; j < classes; ++j) total += std::exp(x[j] - largest);
  return largest - x[label] + std::log(total);
}

// p[j] - [j == label]. For the label itself as minus the sum of the others: 1 - p has no digits
// left when p is almost 1, and even its sign would be lost.
std::vector<double> gradient(const std::vector<double>& p, int64_t label) {
  std::vector<double> d = p;
  d[label] = 0.0;
  double others = 0.0;
  for (const double value : d) others += value;
  d[label] = -others;
  return d;
}

}  // namespace

void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropy& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0);
  VERACE_CHECK(a.labels || !(a.loss || a.dlogits), "loss and gradient need labels");
  VERACE_CHECK(!a.probabilities || a.probabilities != a.logits,
               "probabilities may not alias logits");
  for (int64_t i = 0; a.labels && i < a.n; ++i) {
    VERACE_CHECK(a.labels[i] >= 0 && a.labels[i] < a.classes);
  }
  for (int64_t i = 0; i < a.n; ++i) {
    const float* x = a.logits + i * a.classes;
    const std::vector<double> p = softmax(x, a.classes);
    if (a.probabilities) std::copy(p.begin(), p.end(), a.probabilities + i * a.classes);
    if (!a.labels) continue;

    const int64_t label = a.labels[i];
    const double weight = a.class_weight ? a.class_weight[label] : 1.0;
    const bool clip_form = a.form == CrossEntropyForm::kClippedProbability;
    const double clipped = std::clamp(p[label], 1e-7, 1.0 - 1e-7);
    const double loss = clip_form ? -std::log(clipped) : loss_of_logits(x, a.classes, label);
    const bool constant = clip_form && clipped != p[label] && !std::isnan(p[label]);
    std::vector<double> d = gradient(p, label);
    const double scale = a.gradient_scale ? *a.gradient_scale : 1.0;
    const double share =
        a.reduction == CrossEntropyReduction::kMean ? scale / static_cast<double>(a.n) : scale;
    if (a.loss) a.loss[i] = static_cast<float>(weight * loss);
    for (int64_t j = 0; a.dlogits && j < a.classes; ++j) {
      a.dlogits[i * a.classes + j] = constant ? 0.0f : static_cast<float>(weight * d[j] * share);
    }
  }
}

}  // namespace verace::kernels::reference
