// Counting what a classifier got right, on the CPU: one pass, too little work for threads.
#include "kernels/classification.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::cpu {
namespace {

// The class with the largest score, or -1 if one is NaN.
int64_t predicted_class(const float* scores, int64_t classes) {
  if (std::any_of(scores, scores + classes, [](float s) { return std::isnan(s); })) return -1;
  return std::max_element(scores, scores + classes) - scores;
}

}  // namespace

void classification_counts(const Exec&, const ClassificationCounts& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0 && a.correct != nullptr);
  VERACE_CHECK(a.confusion == nullptr || a.classes == 2);
  *a.correct = 0;
  if (a.confusion != nullptr) std::fill_n(a.confusion, 4, 0);
  for (int64_t i = 0; i < a.n; ++i) {
    const int64_t predicted = predicted_class(a.scores + i * a.classes, a.classes);
    const int64_t label = a.labels[i];
    if (predicted < 0 || label < 0 || label >= a.classes) continue;
    if (predicted == label) ++*a.correct;
    if (a.confusion != nullptr) ++a.confusion[label * 2 + predicted];
  }
}

}  // namespace verace::kernels::cpu
