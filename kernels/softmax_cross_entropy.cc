// Softmax and cross-entropy on the CPU: rows in parallel, sums and exponentials in double.
#include "kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/softmax_math.h"

namespace verace::kernels::cpu {
namespace {

SoftmaxRow<double> sum_row(const float* x, int64_t classes, int64_t label) {
  SoftmaxRow<double> row{};
  row.largest = *std::max_element(x, x + classes);
  double label_term = 0.0;
  for (int64_t j = 0; j < classes; ++j) {
    const double e = std::exp(x[j] - row.largest);
    (j == label ? label_term : row.others) += e;
  }
  row.total = row.others + label_term;
  if (label >= 0) row.label_logit = x[label];
  return row;
}

// Element j of x is read before dx[j] is written, so dx may be x.
void write_gradient(const SoftmaxRow<double>& row, const float* x, int64_t classes, int64_t label,
                    double factor, float* dx) {
  for (int64_t j = 0; j < classes; ++j) {
    const double term = std::exp(x[j] - row.largest);
    dx[j] = static_cast<float>(factor * cross_entropy_slope(row, term, j == label));
  }
}

void process_row(const SoftmaxCrossEntropy& a, int64_t i) {
  const float* x = a.logits + i * a.classes;
  const int64_t label = a.labels ? a.labels[i] : -1;
  const SoftmaxRow<double> row = sum_row(x, a.classes, label);
  if (a.probabilities) {
    float* p = a.probabilities + i * a.classes;
    for (int64_t j = 0; j < a.classes; ++j) {
      p[j] = static_cast<float>(std::exp(x[j] - row.largest) / row.total);
    }
  }
  if (!a.labels) return;
  const double weight = a.class_weight ? a.class_weight[label] : 1.0;
  if (a.loss) a.loss[i] = static_cast<float>(weight * cross_entropy(row, a.form));
  if (!a.dlogits) return;
  const double scale = a.gradient_scale ? *a.gradient_scale : 1.0;
  const double share =
      a.reduction == CrossEntropyReduction::kMean ? scale / static_cast<double>(a.n) : scale;
  float* dx = a.dlogits + i * a.classes;
  if (a.form == CrossEntropyForm::kClippedProbability && is_clipped(row)) {
    std::fill_n(dx, a.classes, 0.0f);
  } else {
    write_gradient(row, x, a.classes, label, weight * share, dx);
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
