// Counting what a classifier got right, as its definition reads.
#include "kernels/classification.h"

#include "kernels/check.h"

namespace verace::kernels::reference {

void classification_counts(const Exec&, const ClassificationCounts& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0 && a.correct != nullptr);
  VERACE_CHECK(a.confusion == nullptr || a.classes == 2);
  *a.correct = 0;
  for (int cell = 0; a.confusion != nullptr && cell < 4; ++cell) a.confusion[cell] = 0;
  for (int64_t i = 0; i < a.n; ++i) {
    const float* scores = a.scores + i * a.classes;
    int64_t best = 0;
    bool is_number = true;
    for (int64_t j = 0; j < a.classes; ++j) {
      if (scores[j] != scores[j]) is_number = false;
      if (scores[j] > scores[best]) best = j;
    }
    if (!is_number || a.labels[i] < 0 || a.labels[i] >= a.classes) continue;
    if (best == a.labels[i]) *a.correct += 1;
    if (a.confusion != nullptr) a.confusion[2 * a.labels[i] + best] += 1;
  }
}

}  // namespace verace::kernels::reference
