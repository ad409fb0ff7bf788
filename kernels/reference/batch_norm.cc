// Batch normalisation, plainly: one channel after the other, in double.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::reference {
namespace {

// Factor from the batch's (biased) variance to the one that enters the running average.
double running_variance_factor(RunningVariance convention, double n, double epsilon) {
  const double bessel = n / (n - 1.0);
  if (convention == RunningVariance::kBiased) return 1.0;
  if (convention == RunningVariance::kUnbiased) return bessel;
  return bessel * n / (n - 1.0 - epsilon);
}

// running = (1 - momentum) * running + momentum * batch.
void move(float& running, double batch, double momentum) {
  running = static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * batch);
}

// Gradient at the output before it enters the normalisation.
double dz_at(const BatchNormBackward& args, int64_t i) {
  if (args.y != nullptr && !(args.y[i] > 0.0f)) return 0.0;
  if (args.mask != nullptr && (args.mask[i / 32] >> (i % 32) & 1u) == 0u) return 0.0;
  double dz = static_cast<double>(args.dy[i]);
  if (args.dy2 != nullptr) dz += static_cast<double>(args.dy2[i]);
  return dz;
}

// gamma * xhat + beta of one element.
double normalised(double x, double mean, double inv_std, double gamma, double beta) {
  return gamma * ((x - mean) * inv_std) + beta;
}

void write(GradMode mode, double value, float* gradient, int64_t j) {
  if (mode == GradMode::kOverwrite) gradient[j] = static_cast<float>(value);
  if (mode == GradMode::kAccumulate) gradient[j] += static_cast<float>(value);
}

}  // namespace

void batch_norm_statistics(const Exec&, const BatchNormStatistics& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0 && args.epsilon > 0.0);
  VERACE_CHECK((args.running_mean == nullptr) == (args.running_var == nullptr));
  VERACE_CHECK(args.running_mean == nullptr || args.rows >= 2);
  VERACE_CHECK(args.momentum >= 0.0 && args.momentum <= 1.0);
  const double n = static_cast<double>(args.rows);
  for (int64_t j = 0; j < args.c; ++j) {
    double sum = 0.0, squares = 0.0;
    for (int64_t row = 0; row < args.rows; ++row)
      sum += static_cast<double>(args.x[row * args.c + j]);
    const double mean = sum / n;
    for (int64_t row = 0; row < args.rows; ++row) {
      const double d = static_cast<double>(args.x[row * args.c + j]) - mean;
      squares += d * d;
    }
    const double variance = squares / n;
    args.mean[j] = static_cast<float>(mean);
    args.inv_std[j] = static_cast<float>(1.0 / std::sqrt(variance + args.epsilon));
    if (args.running_mean == nullptr) continue;
    move(args.running_mean[j], mean, args.momentum);
    move(args.running_var[j], variance * running_variance_factor(args.convention, n, args.epsilon),
         args.momentum);
  }
}

void inverse_std(const Exec&, const InverseStd& args) {
  VERACE_CHECK(args.c > 0 && args.epsilon > 0.0);
  for (int64_t j = 0; j < args.c; ++j) {
    const double variance = static_cast<double>(args.variance[j]);
    args.inv_std[j] = static_cast<float>(1.0 / std::sqrt(variance + args.epsilon));
  }
}

void batch_norm_apply(const Exec&, const BatchNormApply& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.mask == nullptr || args.relu);
  check_shortcut(args);
  if (args.mask != nullptr) std::fill_n(args.mask, mask_words(args.rows * args.c), 0u);
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t j = 0; j < args.c; ++j) {
      const int64_t i = row * args.c + j;
      double z = normalised(args.x[i], args.mean[j], args.inv_std[j], args.gamma[j], args.beta[j]);
      if (args.shortcut_mean != nullptr) {
        z += normalised(args.shortcut[i], args.shortcut_mean[j], args.shortcut_inv_std[j],
                        args.shortcut_gamma[j], args.shortcut_beta[j]);
      } else if (args.shortcut != nullptr) {
        z += static_cast<double>(args.shortcut[i]);
      }
      if (args.relu && z <= 0.0) z = 0.0;
      args.y[i] = static_cast<float>(z);
      if (args.mask != nullptr && args.y[i] > 0.0f) args.mask[i / 32] |= 1u << (i % 32);
    }
  }
}

void batch_norm_backward(const Exec&, const BatchNormBackward& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  VERACE_CHECK(args.dx == nullptr || args.dx != args.dshortcut);
  VERACE_CHECK(args.y == nullptr || args.mask == nullptr, "the mask is given twice");
  const double n = static_cast<double>(args.rows);
  for (int64_t j = 0; j < args.c; ++j) {
    const double mean = static_cast<double>(args.mean[j]);
    const double inv_std = static_cast<double>(args.inv_std[j]);
    double dbeta = 0.0, dgamma = 0.0;
    for (int64_t row = 0; row < args.rows; ++row) {
      const int64_t i = row * args.c + j;
      const double xhat = (static_cast<double>(args.x[i]) - mean) * inv_std;
      dbeta += dz_at(args, i);
      dgamma += dz_at(args, i) * xhat;
    }
    for (int64_t row = 0; row < args.rows; ++row) {
      const int64_t i = row * args.c + j;
      const double dz = dz_at(args, i);  // before dx or dshortcut overwrite what it is made of
      double inner = dz;
      if (args.mode == BatchNormMode::kBatchStatistics) {
        const double xhat = (static_cast<double>(args.x[i]) - mean) * inv_std;
        inner -= (dbeta + xhat * dgamma) / n;
      }
      const double dx = static_cast<double>(args.gamma[j]) * inv_std * inner;
      if (args.dx != nullptr) args.dx[i] = static_cast<float>(dx);
      if (args.dshortcut != nullptr) args.dshortcut[i] = static_cast<float>(dz);
    }
    write(args.dbeta_mode, dbeta, args.dbeta, j);
    write(args.dgamma_mode, dgamma, args.dgamma, j);
  }
}

void fold_batch_norm(const Exec&, const FoldBatchNorm& args) {
  VERACE_CHECK(args.k > 0 && args.fan_in > 0 && args.epsilon > 0.0);
  for (int64_t k = 0; k < args.k; ++k) {
    const double inv_std = 1.0 / std::sqrt(static_cast<double>(args.variance[k]) + args.epsilon);
    const double scale = static_cast<double>(args.gamma[k]) * inv_std;
    for (int64_t i = k * args.fan_in; i < (k + 1) * args.fan_in; ++i) {
      args.w_out[i] = static_cast<float>(static_cast<double>(args.w[i]) * scale);
    }
    args.bias_out[k] = static_cast<float>(static_cast<double>(args.beta[k]) -
                                          static_cast<double>(args.mean[k]) * scale);
  }
}

}  // namespace verace::kernels::reference
