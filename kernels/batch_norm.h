// Batch normalisation over the channels of [rows, c] (rows = n*h*w): statistics, normalisation,
// backward, folding.
//
// Ioffe & Szegedy 2015, arXiv 1502.03167: xhat = (x - mean) * inv_std, y = gamma * xhat + beta,
// inv_std = 1/sqrt(var + epsilon), var the biased variance of the batch (algorithm 1) or a running
// one. Channel-wise tensors are [c]. Sums are taken over fixed pieces in a fixed order: the result
// does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "kernels/exec.h"

namespace verace::kernels {

// Which variance enters the running average (semantics.md A.6): N/(N-1) times the batch's (PyTorch,
// cuDNN, tf.keras), the batch's own (Keras 3), or N/(N-1-epsilon) times it on top of N/(N-1)
// (multi-backend Keras 2.2/2.3).
enum class RunningVariance { kUnbiased, kBiased, kKeras2 };

// Which statistics a batch norm uses; a property of the layer in a plan, never inferred from
// "training".
enum class BatchNormMode { kBatchStatistics, kRunningStatistics };

// Mean and inverse standard deviation of a batch; optionally moves the running statistics:
// running = (1 - momentum) * running + momentum * batch (momentum = PyTorch's; 1 - Keras').
struct BatchNormStatistics {
  int64_t rows = 0, c = 0;   // rows >= 2 when running statistics move (N-1 divides)
  const float* x = nullptr;  // [rows, c]
  double epsilon = 1e-5;     // > 0
  float* mean = nullptr;     // [c], overwritten
  float* inv_std = nullptr;  // [c], overwritten
  float* running_mean =
      nullptr;  // [c], updated in place; nullptr: left alone (then running_var too)
  float* running_var = nullptr;  // [c]
  double momentum = 0.1;         // in [0, 1]
  RunningVariance convention = RunningVariance::kUnbiased;
};

// inv_std[c] = 1/sqrt(variance[c] + epsilon): what running-statistics mode normalises with.
struct InverseStd {
  int64_t c = 0;
  const float* variance = nullptr;
  double epsilon = 1e-5;
  float* inv_std = nullptr;
};

// y = act(gamma * (x - mean) * inv_std + beta (+ shortcut)), act = ReLU or nothing.
struct BatchNormApply {
  int64_t rows = 0, c = 0;
  const float* x = nullptr;         // [rows, c]
  const float* mean = nullptr;      // [c] (or the running mean)
  const float* inv_std = nullptr;   // [c]
  const float* gamma = nullptr;     // [c]
  const float* beta = nullptr;      // [c]
  const float* shortcut = nullptr;  // [rows, c] or nullptr
  bool relu = false;
  float* y = nullptr;  // [rows, c], overwritten; may alias x or shortcut
};

// Gradients of BatchNormApply. With dz = (dy + dy2) * [y > 0 if relu]:
//   dgamma = sum dz * xhat, dbeta = sum dz,
//   dx = gamma * inv_std * (dz - dbeta/rows - xhat * dgamma/rows)   (batch statistics; paper,
//   section 3) dx = gamma * inv_std * dz                                       (running statistics)
//   dshortcut = dz.
// dgamma and dbeta enter dx in any case; the modes only say whether the caller's tensors receive
// them.
struct BatchNormBackward {
  int64_t rows = 0, c = 0;
  BatchNormMode mode = BatchNormMode::kBatchStatistics;
  const float* dy = nullptr;    // [rows, c]
  const float* dy2 = nullptr;   // [rows, c]: second contribution where the output forks; or nullptr
  const float* y = nullptr;     // [rows, c]: output after ReLU, for its mask; nullptr: no ReLU
  const float* x = nullptr;     // [rows, c]: input of the normalisation
  const float* mean = nullptr;  // [c]
  const float* inv_std = nullptr;  // [c]
  const float* gamma = nullptr;    // [c]
  float* dgamma = nullptr;         // [c], by dgamma_mode; may be nullptr with kSkip
  float* dbeta = nullptr;          // [c], by dbeta_mode; may be nullptr with kSkip
  GradMode dgamma_mode = GradMode::kOverwrite;
  GradMode dbeta_mode = GradMode::kOverwrite;
  float* dx = nullptr;  // [rows, c], overwritten; nullptr: not wanted; may alias dy or dy2, unless
                        // dshortcut is wanted too and aliases the same
  float* dshortcut =
      nullptr;  // [rows, c], overwritten with dz; nullptr: not wanted; may alias dy or dy2
  float* scratch = nullptr;  // batch_norm_backward_scratch(rows, c) floats
};

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

inline void batch_norm_statistics(const Exec& exec, const BatchNormStatistics& args) {
  dispatch(exec, args, cpu::batch_norm_statistics, reference::batch_norm_statistics);
}
inline void inverse_std(const Exec& exec, const InverseStd& args) {
  dispatch(exec, args, cpu::inverse_std, reference::inverse_std);
}
inline void batch_norm_apply(const Exec& exec, const BatchNormApply& args) {
  dispatch(exec, args, cpu::batch_norm_apply, reference::batch_norm_apply);
}
inline void batch_norm_backward(const Exec& exec, const BatchNormBackward& args) {
  dispatch(exec, args, cpu::batch_norm_backward, reference::batch_norm_backward);
}
inline void fold_batch_norm(const Exec& exec, const FoldBatchNorm& args) {
  dispatch(exec, args, cpu::fold_batch_norm, reference::fold_batch_norm);
}

}  // namespace verace::kernels
