// Adam with its moments, appended to a training step as its last operation.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "kernels/adam.h"

namespace verace::optim {

struct AdamOptions {
  double learning_rate = 1e-4;  // > 0
  double beta1 = 0.9, beta2 = 0.999;
  // semantics.md A.6. Keras: 1e-7 outside the bias correction. PyTorch: 1e-8 inside.
  kernels::AdamEpsilon placement = kernels::AdamEpsilon::kKeras;
  double epsilon = 1e-7;
};

class Adam {
 public:
  // Moments (zero) for the trainable parameters of the table, which must outlive this. Freezing is
  // decided before.
  Adam(engine::LayerTable& table, const AdamOptions& options);

  // Appends the update of all parameters: one operation. The step number advances with each run.
  void append_update(engine::StepBuilder& builder);

  // Steps taken; the next update uses step() + 1. Settable, for resuming.
  int64_t step() const { return step_; }
  void set_step(int64_t step) { step_ = step; }
  void set_learning_rate(double rate) { options_.learning_rate = rate; }
  const AdamOptions& options() const { return options_; }

  // One entry per trainable parameter, in table order: what a checkpoint stores.
  struct Moments {
    engine::Parameter* parameter;
    engine::Tensor m, v;
  };
  std::vector<Moments>& moments() { return moments_; }
  const std::vector<Moments>& moments() const { return moments_; }
  int64_t bytes() const;

 private:
  AdamOptions options_;
  int64_t step_ = 0;
  std::vector<Moments> moments_;
};

}  // namespace verace::optim
