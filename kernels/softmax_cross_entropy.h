// Softmax, categorical cross-entropy and its gradient with respect to the logits.
#pragma once

#include <cstdint>

#include "kernels/choices.h"
#include "kernels/dispatch.h"
#include "kernels/storage.h"

namespace verace::kernels {

// What dlogits is the gradient of: the mean over the batch (training), or the sum (Foolbox'
// attacks).
enum class CrossEntropyReduction { kMean, kSum };

// Per sample i with label t: loss[i] = class_weight[t] * cross-entropy; dlogits[i] = d(reduced
// loss)/d logits[i] = class_weight[t] * (p - onehot(t)) * (1/n for kMean, 1 for kSum). The mean
// divides by n, not by the sum of weights (Keras' class_weight). Clipped form: the row's
// gradient is 0 when its label's p is clipped. dlogits, not the loss, is multiplied by
// *gradient_scale (kernels/loss_scale.h).
//
// A label outside [0, classes) is an Error(kInternal) on the host devices. kCuda, which does not
// wait for the device to look, makes that sample's loss and its row of dlogits NaN: training stops
// at a loss that is not finite, and no memory outside the tensors is touched.
template <typename T>
struct SoftmaxCrossEntropyOf {
  int64_t n = 0, classes = 0;
  const T* logits = nullptr;  // [n, classes]
  const int32_t* labels =
      nullptr;  // [n], each in [0, classes); nullptr: only probabilities are wanted
  const float* class_weight = nullptr;  // [classes] or nullptr (all 1)
  CrossEntropyForm form = CrossEntropyForm::kLogits;
  CrossEntropyReduction reduction = CrossEntropyReduction::kMean;
  float* probabilities = nullptr;  // [n, classes], overwritten, not logits; nullptr: not wanted
  float* loss = nullptr;           // [n], overwritten; nullptr: not wanted
  T* dlogits = nullptr;  // [n, classes], overwritten; nullptr: not wanted; may alias logits
  const float* gradient_scale = nullptr;  // read when it runs; nullptr: 1
};
using SoftmaxCrossEntropy = SoftmaxCrossEntropyOf<float>;

namespace cpu {
void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropy&);
}
namespace reference {
void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropy&);
}

namespace cuda {
template <typename T>
void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropyOf<T>&);
}

template <typename T = float>
void softmax_cross_entropy(const Exec& exec, const SoftmaxCrossEntropyOf<T>& args) {
  dispatch(exec, args, cpu::softmax_cross_entropy, reference::softmax_cross_entropy,
           [](auto&... a) { cuda::softmax_cross_entropy(a...); });
}

}  // namespace verace::kernels
