// Counting what a classifier got right.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace verace::kernels {

// A sample's class is the one with its largest score, the first of equals. A sample with a NaN
// among its scores, or with a label outside [0, classes), is in no cell of the confusion and not
// correct. Whole numbers: the same on every device, in any order.
struct ClassificationCounts {
  int64_t n = 0, classes = 0;       // classes > 0
  const float* scores = nullptr;    // [n, classes]: logits or probabilities
  const int32_t* labels = nullptr;  // [n]
  int64_t* correct = nullptr;       // overwritten with the number of samples classified right
  int64_t* confusion = nullptr;     // [2, 2] with label * 2 + predicted, overwritten; nullptr: not
                                    // wanted, and only for 2 classes
};

namespace cpu {
void classification_counts(const Exec&, const ClassificationCounts&);
}
namespace reference {
void classification_counts(const Exec&, const ClassificationCounts&);
}
namespace cuda {
void classification_counts(const Exec&, const ClassificationCounts&);
}

inline void classification_counts(const Exec& exec, const ClassificationCounts& args) {
  dispatch(exec, args, cpu::classification_counts, reference::classification_counts,
           [](auto&... a) { cuda::classification_counts(a...); });
}

}  // namespace verace::kernels
