// Softmax and cross-entropy on CUDA devices: a warp per row for few classes, a block for many.
#include "kernels/softmax_cross_entropy.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/reductions.h"
#include "kernels/simt/vector_access.h"
#include "kernels/softmax_math.h"

namespace verace::kernels::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kBlock = 256;
constexpr int kRowsPerBlock = 4;      // where a warp takes a row
constexpr int64_t kFewClasses = 256;  // a warp still reads them in at most 8 rounds

// Sums of the row x over kThreads threads, of which this is number `thread`; each thread reads the
// elements that it also writes later, so that dlogits may be logits.
template <int kThreads, int kWidth, typename T>
__device__ inline SoftmaxRow<float> sum_row(const T* x, int64_t classes, int64_t label, int thread,
                                            float* shared) {
  float largest = -INFINITY, label_logit = 0.0f;
  for (int64_t j = thread * kWidth; j < classes; j += kThreads * kWidth) {
    float v[kWidth];
    simt::load(x + j, v);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      largest = fmaxf(largest, v[k]);
      if (j + k == label) label_logit = v[k];
    }
  }
  SoftmaxRow<float> row;
  row.largest = simt::block_max<kThreads>(largest, shared);
  row.label_logit = simt::block_sum<kThreads>(label_logit, shared);  // all others add 0
  float others = 0.0f;
  for (int64_t j = thread * kWidth; j < classes; j += kThreads * kWidth) {
    float v[kWidth];
    simt::load(x + j, v);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) others += j + k == label ? 0.0f : expf(v[k] - row.largest);
  }
  row.others = simt::block_sum<kThreads>(others, shared);
  const bool has_label = label >= 0 && label < classes;
  row.total = row.others + (has_label ? expf(row.label_logit - row.largest) : 0.0f);
  return row;
}

// Probabilities and gradient of one row. factor: 0 where the loss is constant (all terms are finite
// there), NaN for a label that does not exist.
template <int kThreads, int kWidth, typename T>
__device__ inline void write_row(const SoftmaxCrossEntropyOf<T>& a, const SoftmaxRow<float>& row,
                                 int64_t offset, int64_t label, float factor, int thread) {
  for (int64_t j = thread * kWidth; j < a.classes; j += kThreads * kWidth) {
    float v[kWidth];
    simt::load(a.logits + offset + j, v);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) v[k] = expf(v[k] - row.largest);
    if (a.probabilities != nullptr) {
      float p[kWidth];
#pragma unroll
      for (int k = 0; k < kWidth; ++k) p[k] = v[k] / row.total;
      simt::store(a.probabilities + offset + j, p);
    }
    if (a.dlogits != nullptr) {
      float d[kWidth];
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        d[k] = factor * cross_entropy_slope(row, v[k], j + k == label);
      }
      simt::store(a.dlogits + offset + j, d);
    }
  }
}

// kThreads per row: a warp of several in the block, or the whole block.
template <int kThreads, int kWidth, typename T>
__global__ void __launch_bounds__(kThreads == kWarp ? kWarp * kRowsPerBlock : kBlock)
    softmax_kernel(const SoftmaxCrossEntropyOf<T> a) {
  constexpr int kRows = kThreads == kWarp ? kRowsPerBlock : 1;
  __shared__ float shared[kBlock / kWarp];
  const float scale = a.gradient_scale != nullptr ? *a.gradient_scale : 1.0f;
  const int thread = static_cast<int>(threadIdx.x % kThreads);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x / kThreads;
  for (int64_t i = first; i < a.n; i += static_cast<int64_t>(gridDim.x) * kRows) {
    const int64_t offset = i * a.classes;
    const int64_t label = a.labels != nullptr ? a.labels[i] : -1;
    const SoftmaxRow<float> row =
        sum_row<kThreads, kWidth>(a.logits + offset, a.classes, label, thread, shared);
    float loss = NAN, factor = NAN;
    if (label >= 0 && label < a.classes) {
      const float weight = a.class_weight != nullptr ? a.class_weight[label] : 1.0f;
      loss = weight * cross_entropy(row, a.form);
      const bool constant = a.form == CrossEntropyForm::kClippedProbability && is_clipped(row);
      const bool mean = a.reduction == CrossEntropyReduction::kMean;
      factor = constant ? 0.0f : scale * (mean ? weight / static_cast<float>(a.n) : weight);
    }
    if (thread == 0 && a.loss != nullptr) a.loss[i] = loss;
    write_row<kThreads, kWidth>(a, row, offset, label, factor, thread);
  }
}

}  // namespace

template <typename T>
void softmax_cross_entropy(const Exec& exec, const SoftmaxCrossEntropyOf<T>& a) {
  VERACE_CHECK(a.n >= 0 && a.classes > 0);
  VERACE_CHECK(a.labels || !(a.loss || a.dlogits), "loss and gradient need labels");
  VERACE_CHECK(static_cast<const void*>(a.probabilities) != static_cast<const void*>(a.logits) ||
                   !a.probabilities,
               "probabilities may not alias logits");
  if (a.n == 0) return;
  if (a.classes <= kFewClasses) {
    simt::launch(softmax_kernel<kWarp, 1, T>,
                 {simt::blocks_for(a.n, kRowsPerBlock), kWarp * kRowsPerBlock, 0, exec.stream}, a);
    return;
  }
  constexpr int kVector = simt::vector_width<T>;
  const bool whole = a.classes % kVector == 0 && simt::is_vector_aligned(a.logits, a.dlogits) &&
                     simt::is_vector_aligned(a.probabilities);
  const auto kernel = whole ? softmax_kernel<kBlock, kVector, T> : softmax_kernel<kBlock, 1, T>;
  simt::launch(kernel, {simt::blocks_for(a.n, 1), kBlock, 0, exec.stream}, a);
}

template void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropyOf<float>&);
template void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropyOf<Half>&);
template void softmax_cross_entropy(const Exec&, const SoftmaxCrossEntropyOf<BFloat16>&);

}  // namespace verace::kernels::cuda
