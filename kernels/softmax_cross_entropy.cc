// Softmax and cross-entropy on the CPU: rows in parallel, sums and exponentials in double.
#include "kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

// Keras' backend epsilon: the clipped form keeps p within [kClip, 1 - kClip].
constexpr double kClip = 1e-7;

// exp(x - largest), summed. `others` is the sum without the label's term, added up apart from it:
// p[label] - 1 is then -others/total, which keeps its digits (and its sign, which FGSM needs) when
// p[label] rounds to 1.
struct RowSums {
  double largest = 0.0, total = 0.0, others = 0.0;
};

RowSums row_sums(const float* x, int64_t classes, int64_t label) {
  RowSums s;
  s.largest = *std::max_element(x, x + classes);
  double label_term = 0.0;
  for (int64_t j = 0; j < classes; ++j) {
    const double e = std::exp(x[j] - s.largest);
    (j == label ? label_term : s.others) += e;
  }
  s.total = s.others + label_term;
  return s;
}

// -ln of the label's probability. The softmax already divides by the sum, so the renormalisation
// that the clipped form asks for changes nothing. A NaN passes through both forms.
double row_loss(const RowSums& s, double label_logit, CrossEntropyForm form) {
  if (form == CrossEntropyForm::kClippedProbability) {
    const double p = std::exp(label_logit - s.largest) / s.total;
    return -std::log(p < kClip ? kClip : (p > 1.0 - kClip ? 1.0 - kClip : p));
  }
  // log1p keeps the digits of a tiny loss: there the label's term is 1 and the others are far below
  // it.
  if (label_logit == s.largest) return std::log1p(s.others);
  return s.largest - label_logit + std::log(s.total);
}

bool is_clipped(double p) { return p < kClip || p > 1.0 - kClip; }

// dx[j] = factor * (p[j] - [j == label]); element j of x is read before dx[j] is written, so dx may
// be x.
void write_gradient(const RowSums& s, const float* x, int64_t classes, int64_t label, double factor,
                    float* dx) {
  for (int64_t j = 0; j < classes; ++j) {
    const double numerator = j == label ? -s.others : std::exp(x[j] - s.largest);
    dx[j] = static_cast<float>(factor * (numerator / s.total));
  }
}

void process_row(const SoftmaxCrossEntropy& a, int64_t i) {
  const float* x = a.logits + i * a.classes;
  const int64_t label = a.labels ? a.labels[i] : -1;
  const RowSums s = row_sums(x, a.classes, label);
  if (a.probabilities) {
    float* p = a.probabilities + i * a.classes;
    for (int64_t j = 0; j < a.classes; ++j) {
      p[j] = static_cast<float>(std::exp(x[j] - s.largest) / s.total);
    }
  }
  if (!a.labels) return;
  const double weight = a.class_weight ? a.class_weight[label] : 1.0;
  const double label_logit = x[label];
  if (a.loss) a.loss[i] = static_cast<float>(weight * row_loss(s, label_logit, a.form));
  if (!a.dlogits) return;
  const double share =
      a.reduction == CrossEntropyReduction::kMean ? 1.0 / static_cast<double>(a.n) : 1.0;
  float* dx = a.dlogits + i * a.classes;
  if (a.form == CrossEntropyForm::kClippedProbability &&
      is_clipped(std::exp(label_logit - s.largest) / s.total)) {
    std::fill_n(dx, a.classes, 0.0f);
  } else {
    write_gradient(s, x, a.classes, label, weight * share, dx);
  }
}

void check(const SoftmaxCrossEntropy& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0);
  VERACE_CHECK(a.labels || !(a.loss || a.dlogits), "loss and gradient need labels");
  VERACE_CHECK(!a.probabilities || a.probabilities != a.logits,
               "probabilities may not alias logits");
  if (!a.labels) return;
  // Before the parallel loop, which must not throw.
  for (int64_t i = 0; i < a.n; ++i) {
    VERACE_CHECK(a.labels[i] >= 0 && a.labels[i] < a.classes,
                 "label " + std::to_string(a.labels[i]) + " of sample " + std::to_string(i) +
                     ", classes " + std::to_string(a.classes));
  }
}

}  // namespace

void softmax_cross_entropy(const Exec& exec, const SoftmaxCrossEntropy& args) {
  check(args);
  // Exponentials are dear: a piece of 1024 of them outweighs the cost of starting a task.
  const int64_t grain = std::max<int64_t>(1, 1024 / args.classes);
  parallel_ranges(exec, args.n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) process_row(args, i);
  });
}

}  // namespace verace::kernels::cpu
