// Adam with its moments, appended to a training step as its last operation.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "kernels/loss_scale_rule.h"
#include "kernels/scalar_math.h"

namespace verace::optim {

struct AdamOptions {
  double learning_rate = 1e-4;  // > 0
  double beta1 = 0.9, beta2 = 0.999;
  // semantics.md A.6. Keras: 1e-7 outside the bias correction. PyTorch: 1e-8 inside.
  kernels::AdamEpsilon placement = kernels::AdamEpsilon::kKeras;
  double epsilon = 1e-7;
  // How the loss scale of fp16 training moves (kernels/loss_scale.h); absent: there is none.
  std::optional<kernels::LossScaleRule> loss_scale = {};
};

class Adam {
 public:
  // Moments (zero) for the trainable parameters of the table, in its memory; the table must outlive
  // this. Freezing is decided before, and where the table lies.
  Adam(engine::LayerTable& table, const AdamOptions& options);

  // Appends an operation after which this step's update is left out if an element of `values`
  // (f32) is NaN or infinite: parameters, moments and the number of the step stay as they are.
  void append_check(engine::StepBuilder& builder, const std::vector<engine::Value>& values);
  // Appends the update of all parameters: one operation. The step number advances with each run.
  // Nothing of it depends on the host. With a loss scale the gradients are looked at before, all
  // of them: where one is NaN or infinite the step is left out, and the scale falls; behind the
  // update it moves by its rule.
  void append_update(engine::StepBuilder& builder);

  // What all gradients must come multiplied by, in memory of the device: nullptr without a loss
  // scale. For layers::TrainingOptions.
  const float* gradient_scale() const;
  // Where the loss scale stands. Settable, for resuming. Both wait for the device; only with a loss
  // scale.
  kernels::LossScaleState loss_scale() const;
  void set_loss_scale(const kernels::LossScaleState& scale);

  // Steps taken; the next update uses step() + 1. Settable, for resuming. Both wait for the device.
  int64_t step() const;
  void set_step(int64_t step);
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
  // What a step needs besides the moments, in the same memory.
  struct State {
    int64_t steps;
    kernels::AdamFactors factors;
    uint32_t left_out;  // not 0: this step's update
    kernels::LossScaleState scale;
  };
  State read_state() const;
  void append_overflow_check(engine::StepBuilder& builder);
  State* state() const { return reinterpret_cast<State*>(state_.bytes_in_memory()); }

  AdamOptions options_;
  engine::Tensor state_;
  std::vector<Moments> moments_;
};

}  // namespace verace::optim
