// The classifier: ResNet-50 and its head, and the planned steps that train it, ask it and attack
// it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/precision.h"
#include "engine/step.h"
#include "kernels/choices.h"
#include "layers/build_options.h"
#include "layers/dense.h"
#include "layers/init.h"
#include "layers/resnet50.h"

namespace verace::layers {

// Everything that tells one classifier from another; stored with its weights.
struct ClassifierOptions {
  ResNet50Options backbone;
  engine::InputScale input_scale = engine::InputScale::kTorch;
  int64_t input_size = 224;  // height and width of pictures
  int64_t head_hidden = 0;   // neurons of the hidden dense layer; 0: none
  double head_slope = 0.0;   // of its leaky ReLU; 0: ReLU
  int64_t classes = 2;
  std::vector<std::string> class_names = {"real", "fake"};
};

// One batch of training: pixels -> normalise -> network -> cross-entropy -> backward -> update.
struct TrainingStep {
  engine::Step step;
  engine::Value pictures;       // input: u8 [n, s, s, 3], or f32 in [0, 1] with from_unit
  engine::Value flip;           // u8 [n], input: 1 mirrors the picture; not there with from_unit
  engine::Value labels;         // i32 [n], input
  engine::Value loss;           // f32 [n], per sample
  engine::Value probabilities;  // f32 [n, classes]
};

// Inference: unit pictures or pixels -> logits and probabilities; per-sample loss if labels are
// given.
struct InferenceStep {
  engine::Step step;
  engine::Value pictures;       // input: u8 [n, s, s, 3], or f32 in [0, 1] with from_unit
  engine::Value logits;         // f32 [n, classes]
  engine::Value probabilities;  // f32 [n, classes]
  engine::Value features;       // f32 [n, feature_count]
};

// The gradient of the summed cross-entropy with respect to the pictures (evaluation mode). With
// fp16 activations a gradient may overflow: dx then holds values that are not finite.
struct GradientStep {
  // What dlogits are multiplied by with fp16 activations; dx is divided by it again, in fp32.
  // Without it the gradients of a sure network vanish: behind dlogits p - onehot of size 1e-4 stand
  // weights of about 0.05 and the mean over 49 places, which makes 1e-7, two of fp16's smallest
  // numbers. 2^10 makes that 1e-4, a normal number, and leaves a factor of 64 to the largest number
  // where a gradient is as large as 1. It is also what a picture gets of the usual first loss
  // scale, 2^16, in a batch of 64. A power of two changes no digit.
  static constexpr float kHalfScale = 1024.0f;

  engine::Step step;
  engine::Value pictures;  // f32 [n, s, s, 3] in [0, 1], input
  engine::Value labels;    // i32 [n], input
  engine::Value logits;    // f32 [n, classes]
  engine::Value loss;      // f32 [n]
  engine::Value dx;        // f32 [n, s, s, 3], d sum(loss) / d pictures
};

// Recomputes the running statistics of the trainable batch norms as means over batches, with fixed
// weights: run once per batch.
struct RecalibrationStep {
  engine::Step step;
  engine::Value pictures;  // u8 [n, s, s, 3], input
  // Share of the next batch in the statistics; set to 1/1, 1/2, 1/3 ... for batches of equal size:
  // the mean over all of them.
  std::unique_ptr<double> momentum;
};

struct TrainingOptions {
  BuildOptions build{.training = true, .frozen_batch_norm = FrozenBatchNorm::kInference};
  kernels::CrossEntropyForm loss = kernels::CrossEntropyForm::kLogits;
  std::vector<float> class_weight;  // [classes], or empty: all 1
  bool from_unit = false;           // pictures arrive as f32 in [0, 1] instead of 8-bit pixels
  // In memory of the device, or nullptr (1): all gradients come out multiplied by it
  // (kernels/loss_scale.h), the loss does not.
  const float* gradient_scale = nullptr;
  // Appends the optimiser's update after the backward pass; `loss` is [n].
  std::function<void(engine::StepBuilder&, engine::Value loss)> append_update;
};

class Classifier {
 public:
  explicit Classifier(ClassifierOptions options);

  const ClassifierOptions& options() const { return options_; }
  engine::LayerTable& table() { return table_; }
  const engine::LayerTable& table() const { return table_; }

  // What steps that are planned from now on store activations, their gradients and the gradients of
  // filters in; kTf32 as kFp32 (the switch for it is Exec's). fp32 until told otherwise.
  void set_precision(engine::Precision precision) { precision_ = precision; }
  engine::Precision precision() const { return precision_; }

  // Initialises all layers, or only the head's.
  void initialise_all(Initialisation how, uint64_t seed);
  void initialise_head(Initialisation how, uint64_t seed);

  // Plans steps for batches of n pictures, on the device in whose memory the layer table is
  // (LayerTable::move_to). The classifier must outlive them. A training step
  // allocates the gradients of what the layer table says is trainable. Call prepare() of inference
  // and gradient steps after weights change.
  TrainingStep plan_training(const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena,
                             int64_t n, const TrainingOptions& options);
  RecalibrationStep plan_recalibration(const kernels::Exec& exec,
                                       std::shared_ptr<engine::Arena> arena, int64_t n,
                                       FrozenBatchNorm frozen) const;
  InferenceStep plan_inference(const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena,
                               int64_t n, bool from_unit = false) const;
  GradientStep plan_gradient(const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena,
                             int64_t n) const;

 private:
  void check_plan(const kernels::Exec& exec, int64_t n) const;
  struct Logits {
    engine::Value features, logits;
  };
  Logits append(engine::StepBuilder& builder, const BuildOptions& options,
                engine::Value normalised) const;

  ClassifierOptions options_;
  engine::Precision precision_ = engine::Precision::kFp32;
  engine::LayerTable table_;
  ResNet50 backbone_;
  std::vector<Dense> head_;
};

}  // namespace verace::layers
