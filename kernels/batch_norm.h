// Batch normalisation over the channels of [rows, c] (rows = n*h*w): statistics, normalisation,
// backward, folding.
//
// Ioffe & Szegedy 2015, arXiv 1502.03167: xhat = (x - mean) * inv_std, y = gamma * xhat + beta,
// inv_std = 1/sqrt(var + epsilon), var the biased variance of the batch (algorithm 1) or a running
// one. Channel-wise tensors are [c]. Sums are taken over fixed pieces in a fixed order: the result
// does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "kernels/check.h"
#include "kernels/choices.h"
#include "kernels/dispatch.h"

namespace verace::kernels {

// Which statistics a batch norm uses; a property of the layer in a plan, never inferred from
// "training".
enum class BatchNormMode { kBatchStatistics, kRunningStatistics };

// Mean and inverse standard deviation of a batch; optionally moves the running statistics:
// running = (1 - momentum) * running + momentum * batch (momentum = PyTorch's; 1 - Keras').
template <class T>
struct BatchNormStatisticsOf {
  int64_t rows = 0, c = 0;   // rows >= 2 when running statistics move (N-1 divides)
  const T* x = nullptr;      // [rows, c]
  double epsilon = 1e-5;     // > 0
  float* mean = nullptr;     // [c], overwritten
  float* inv_std = nullptr;  // [c], overwritten
  float* running_mean =
      nullptr;  // [c], updated in place; nullptr: left alone (then running_var too)
  float* running_var = nullptr;  // [c]
  double momentum = 0.1;         // in [0, 1]
  RunningVariance convention = RunningVariance::kUnbiased;
  // batch_norm_statistics_scratch(rows, c) floats, overwritten. Only kCuda needs it; the host
  // devices hold their partial sums themselves and accept nullptr.
  float* scratch = nullptr;
};
using BatchNormStatistics = BatchNormStatisticsOf<float>;

// Floats of scratch that BatchNormStatistics needs on kCuda (partial moments per chunk of rows).
int64_t batch_norm_statistics_scratch(int64_t rows, int64_t c);

// inv_std[c] = 1/sqrt(variance[c] + epsilon): what running-statistics mode normalises with.
struct InverseStd {
  int64_t c = 0;
  const float* variance = nullptr;
  double epsilon = 1e-5;
  float* inv_std = nullptr;
};

// Words of a 1-bit mask of `count` elements. Bit i % 32 (0: the least significant) of word i / 32
// belongs to element i of the flat tensor; the bits of the last word beyond `count` are zero.
inline int64_t mask_words(int64_t count) { return (count + 31) / 32; }

// y = act(gamma * (x - mean) * inv_std + beta (+ shortcut)), act = ReLU or nothing. With
// shortcut_mean the shortcut is itself normalised on the way (the projection branch of a
// bottleneck): + shortcut_gamma * (shortcut - shortcut_mean) * shortcut_inv_std + shortcut_beta.
template <class T>
struct BatchNormApplyOf {
  int64_t rows = 0, c = 0;
  const T* x = nullptr;            // [rows, c]
  const float* mean = nullptr;     // [c] (or the running mean)
  const float* inv_std = nullptr;  // [c]
  const float* gamma = nullptr;    // [c]
  const float* beta = nullptr;     // [c]
  const T* shortcut = nullptr;     // [rows, c] or nullptr
  bool relu = false;
  T* y = nullptr;  // [rows, c], overwritten; may alias x or shortcut
  // [c] each; all nullptr: the shortcut is added as it is
  const float* shortcut_mean = nullptr;
  const float* shortcut_inv_std = nullptr;
  const float* shortcut_gamma = nullptr;
  const float* shortcut_beta = nullptr;
  // [mask_words(rows * c)], overwritten: y[i] > 0 of the stored y, which is all that the backward
  // pass asks of y, in 1/16 (fp16, bf16) or 1/32 of its bytes; nullptr: not kept. Only with relu.
  uint32_t* mask = nullptr;
};
using BatchNormApply = BatchNormApplyOf<float>;

// Throws Error(kInternal) unless the shortcut's normalisation is given whole or not at all.
template <class T>
void check_shortcut(const BatchNormApplyOf<T>& args) {
  const bool normalised = args.shortcut_mean != nullptr;
  VERACE_CHECK(!normalised || args.shortcut != nullptr);
  VERACE_CHECK((args.shortcut_inv_std != nullptr) == normalised);
  VERACE_CHECK((args.shortcut_gamma != nullptr) == normalised);
  VERACE_CHECK((args.shortcut_beta != nullptr) == normalised);
}

// Gradients of BatchNormApply. With dz = (dy + dy2) * [y > 0 if relu]:
//   dgamma = sum dz * xhat, dbeta = sum dz,
//   batch statistics (the paper's section 3):
//     dx = gamma * inv_std * (dz - dbeta/rows - xhat * dgamma/rows),
//   running statistics:
//     dx = gamma * inv_std * dz,
//   dshortcut = dz.
// dgamma and dbeta enter dx in any case; the modes only say whether the caller's tensors receive
// them. Where dshortcut is wanted, dz is rounded to its storage type before it enters the sums and
// dx. A normalised shortcut takes two calls: this one, and one with dy = dshortcut for the other
// branch (no mask, x = the shortcut's input).
template <class T>
struct BatchNormBackwardOf {
  int64_t rows = 0, c = 0;
  BatchNormMode mode = BatchNormMode::kBatchStatistics;
  const T* dy = nullptr;        // [rows, c]
  const T* dy2 = nullptr;       // [rows, c]: second contribution where the output forks; or nullptr
  const T* y = nullptr;         // [rows, c]: output after ReLU, for its mask; nullptr: no ReLU
  const T* x = nullptr;         // [rows, c]: input of the normalisation
  const float* mean = nullptr;  // [c]
  const float* inv_std = nullptr;  // [c]
  const float* gamma = nullptr;    // [c]
  float* dgamma = nullptr;         // [c], by dgamma_mode; may be nullptr with kSkip
  float* dbeta = nullptr;          // [c], by dbeta_mode; may be nullptr with kSkip
  GradMode dgamma_mode = GradMode::kOverwrite;
  GradMode dbeta_mode = GradMode::kOverwrite;
  T* dx = nullptr;  // [rows, c], overwritten; nullptr: not wanted; may alias dy or dy2, unless
                    // dshortcut is wanted too and aliases the same
  T* dshortcut =
      nullptr;  // [rows, c], overwritten with dz; nullptr: not wanted; may alias dy or dy2
  float* scratch = nullptr;  // batch_norm_backward_scratch(rows, c) floats
  // [mask_words(rows * c)]: the mask that BatchNormApply kept, instead of y; nullptr: y says it
  const uint32_t* mask = nullptr;
};
using BatchNormBackward = BatchNormBackwardOf<float>;

// Floats of scratch that BatchNormBackward needs (partial sums per piece, and the totals).
int64_t batch_norm_backward_scratch(int64_t rows, int64_t c);

// Folds a batch norm with given statistics into the filter before it (inference; Jacob et al. 2018,
// arXiv 1712.05877, eq. 14): w_out[k, :] = w[k, :] * gamma*inv_std, bias_out = beta - mean *
// gamma*inv_std.
struct FoldBatchNorm {
  int64_t k = 0, fan_in = 0;
  const float* w = nullptr;         // [k, fan_in]
  const float* gamma = nullptr;     // [k]
  const float* beta = nullptr;      // [k]
  const float* mean = nullptr;      // [k]
  const float* variance = nullptr;  // [k]
  double epsilon = 1e-5;
  float* w_out = nullptr;     // [k, fan_in], overwritten; may alias w
  float* bias_out = nullptr;  // [k], overwritten
};

namespace cpu {
void batch_norm_statistics(const Exec&, const BatchNormStatistics&);
void inverse_std(const Exec&, const InverseStd&);
void batch_norm_apply(const Exec&, const BatchNormApply&);
void batch_norm_backward(const Exec&, const BatchNormBackward&);
void fold_batch_norm(const Exec&, const FoldBatchNorm&);
}  // namespace cpu

namespace reference {
void batch_norm_statistics(const Exec&, const BatchNormStatistics&);
void inverse_std(const Exec&, const InverseStd&);
void batch_norm_apply(const Exec&, const BatchNormApply&);
void batch_norm_backward(const Exec&, const BatchNormBackward&);
void fold_batch_norm(const Exec&, const FoldBatchNorm&);
}  // namespace reference

// T: float, Half or BFloat16 (kernels/storage.h).
namespace cuda {
template <class T>
void batch_norm_statistics(const Exec&, const BatchNormStatisticsOf<T>&);
void inverse_std(const Exec&, const InverseStd&);
template <class T>
void batch_norm_apply(const Exec&, const BatchNormApplyOf<T>&);
template <class T>
void batch_norm_backward(const Exec&, const BatchNormBackwardOf<T>&);
void fold_batch_norm(const Exec&, const FoldBatchNorm&);
}  // namespace cuda

template <class T>
void batch_norm_statistics(const Exec& exec, const BatchNormStatisticsOf<T>& args) {
  dispatch(exec, args, cpu::batch_norm_statistics, reference::batch_norm_statistics,
           [](auto&... a) { cuda::batch_norm_statistics(a...); });
}
template <class T>
void batch_norm_apply(const Exec& exec, const BatchNormApplyOf<T>& args) {
  dispatch(exec, args, cpu::batch_norm_apply, reference::batch_norm_apply,
           [](auto&... a) { cuda::batch_norm_apply(a...); });
}
template <class T>
void batch_norm_backward(const Exec& exec, const BatchNormBackwardOf<T>& args) {
  dispatch(exec, args, cpu::batch_norm_backward, reference::batch_norm_backward,
           [](auto&... a) { cuda::batch_norm_backward(a...); });
}
inline void inverse_std(const Exec& exec, const InverseStd& args) {
  dispatch(exec, args, cpu::inverse_std, reference::inverse_std,
           [](auto&... a) { cuda::inverse_std(a...); });
}
inline void fold_batch_norm(const Exec& exec, const FoldBatchNorm& args) {
  dispatch(exec, args, cpu::fold_batch_norm, reference::fold_batch_norm,
           [](auto&... a) { cuda::fold_batch_norm(a...); });
}

// The same for braced arguments, from which a template deduces nothing.
inline void batch_norm_statistics(const Exec& exec, const BatchNormStatistics& args) {
  batch_norm_statistics<float>(exec, args);
}
inline void batch_norm_apply(const Exec& exec, const BatchNormApply& args) {
  batch_norm_apply<float>(exec, args);
}
inline void batch_norm_backward(const Exec& exec, const BatchNormBackward& args) {
  batch_norm_backward<float>(exec, args);
}

}  // namespace verace::kernels
