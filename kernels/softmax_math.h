// Formulas of one row of softmax and cross-entropy that the CPU and CUDA implementations share.
#pragma once

#include <cmath>

#include "kernels/scalar_math.h"
#include "kernels/softmax_cross_entropy.h"

namespace verace::kernels {

// Keras' backend epsilon: the clipped form keeps p within [kClip, 1 - kClip].
inline constexpr double kProbabilityClip = 1e-7;

// exp(x - largest), summed. `others` is the sum without the label's term, added up apart from it:
// p[label] - 1 is then -others/total, which keeps its digits (and its sign, which FGSM needs) when
// p[label] rounds to 1.
template <typename Real>
struct SoftmaxRow {
  Real largest, total, others;
  Real label_logit;
};

// True when the label's p lies outside [kClip, 1 - kClip]; a NaN does not.
template <typename Real>
VERACE_HOST_DEVICE inline bool is_clipped(const SoftmaxRow<Real>& row) {
  const Real clip_at = static_cast<Real>(kProbabilityClip);
  return std::exp(row.label_logit - row.largest) / row.total < clip_at ||
         row.others / row.total < clip_at;
}

// -ln of the label's probability. The softmax already divides by the sum, so the renormalisation
// that the clipped form asks for changes nothing. A NaN passes through both forms.
template <typename Real>
VERACE_HOST_DEVICE inline Real cross_entropy(const SoftmaxRow<Real>& row, CrossEntropyForm form) {
  if (form == CrossEntropyForm::kClippedProbability && is_clipped(row)) {
    const bool likely = row.others < row.total * Real(0.5);
    return static_cast<Real>(likely ? 1.0000000500000033e-7 : 16.11809565095832);  // -ln of bounds
  }
  // log1p keeps the digits of a tiny loss: there the label's term is 1 and the others are far below
  // it.
  if (row.label_logit == row.largest) return std::log1p(row.others);
  return row.largest - row.label_logit + std::log(row.total);
}

// Element of the gradient with respect to the logits: p - onehot; `term` is exp(x - largest).
template <typename Real>
VERACE_HOST_DEVICE inline Real cross_entropy_slope(const SoftmaxRow<Real>& row, Real term,
                                                   bool is_label) {
  return (is_label ? -row.others : term) / row.total;
}

}  // namespace verace::kernels
