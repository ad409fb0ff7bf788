// Running planned steps on batches of any size: inference, gradients of pictures, training.
//
// All sessions of a process may share one arena: only one of them runs at a time, and what a step
// computed is copied out before its run() returns, since the next step overwrites it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/loader.h"
#include "engine/differentiable.h"
#include "engine/memory.h"
#include "engine/step.h"
#include "engine/trace.h"
#include "kernels/exec.h"
#include "layers/classifier.h"
#include "optim/adam.h"

namespace verace::engine {
class Staging;
}

namespace verace::apps {

// Answers of a network for n pictures; probabilities are the softmax of the logits.
struct Answers {
  int64_t count = 0;
  std::vector<float> logits;         // [n, classes]
  std::vector<float> probabilities;  // [n, classes]
};

// Plans by batch size, the few last used (each owns a copy of the folded weights). Step is one of
// the classifier's step structs.
template <typename Step>
class PlanCache {
 public:
  static constexpr size_t kMost = 3;
  using Plan = std::function<Step(int64_t n)>;

  explicit PlanCache(Plan plan) : plan_(std::move(plan)) {}
  // The step for n pictures, planned at the first time and prepared after refresh(). The reference
  // holds until the next call.
  Step& at(int64_t n) {
    for (size_t i = 0; i + 1 < entries_.size(); ++i) {
      if (entries_[i]->n == n)
        std::rotate(entries_.begin() + i, entries_.begin() + i + 1, entries_.end());
    }
    if (entries_.empty() || entries_.back()->n != n) {
      if (entries_.size() == kMost) entries_.erase(entries_.begin());
      entries_.push_back(std::make_unique<Entry>(Entry{n, true, plan_(n)}));
    }
    Entry& entry = *entries_.back();
    if (!entry.fresh) entry.step.step.prepare();
    entry.fresh = true;
    return entry.step;
  }
  void refresh() {
    for (auto& entry : entries_) entry->fresh = false;
  }
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    int64_t n;
    bool fresh;
    Step step;
  };
  Plan plan_;
  std::vector<std::unique_ptr<Entry>> entries_;  // last used last
};

// Asks a classifier, which must outlive it and is not changed.
class InferenceSession {
 public:
  // Larger batches are run in pieces of max_batch.
  InferenceSession(const layers::Classifier& classifier, const kernels::Exec& exec,
                   std::shared_ptr<engine::Arena> arena, int64_t max_batch = 64);

  // pixels: u8 [n, s, s, 3] RGB, s the network's input size. Throws Error(kInternal) when the size
  // is no multiple of one picture.
  Answers run(std::span<const uint8_t> pixels);
  // pictures: f32 [n, s, s, 3] in [0, 1].
  Answers run_unit(std::span<const float> pictures);

  // To be called after the classifier's weights changed: prepared weights are made anew.
  void refresh();
  // Frees all plans and the arena's memory; they are made again when needed.
  void release();
  // Events of all following runs go there; nullptr: nowhere. The trace must outlive the session.
  void set_trace(engine::Trace* trace) { trace_ = trace; }

  const layers::Classifier& classifier() const { return classifier_; }
  int64_t max_batch() const { return max_batch_; }
  int64_t picture_count() const;  // elements of one picture
  int64_t class_count() const { return classifier_.options().classes; }
  // Bytes of the plan for n pictures; plans it.
  engine::PlanSummary plan_summary(int64_t n) { return plan(n).summary(); }
  // The step of run() for n pictures, planned if needed; holds until the next call.
  const engine::Step& plan(int64_t n) { return pixels_.at(n).step; }
  // The same, planned aside in an arena of its own, whose pages nobody touches.
  engine::PlanSummary plan_aside(int64_t n) const;
  const kernels::Exec& exec() const { return exec_; }
  // Takes the memory of a device that the plans so far need, which else the first run does.
  void take_memory() { arena_->base(); }

 private:
  template <typename T>
  Answers run_in_pieces(PlanCache<layers::InferenceStep>& plans, std::span<const T> pictures);

  const layers::Classifier& classifier_;
  kernels::Exec exec_;
  std::shared_ptr<engine::Arena> arena_;
  int64_t max_batch_;
  PlanCache<layers::InferenceStep> pixels_, unit_;
  engine::Trace* trace_ = nullptr;
};

// The classifier as attacks see it. Larger batches are run in pieces. With fp16 activations
// gradient() throws Error(kInput), naming the picture of the batch, where that type does not hold
// its gradient.
class GradientSession : public engine::Differentiable {
 public:
  GradientSession(const layers::Classifier& classifier, const kernels::Exec& exec,
                  std::shared_ptr<engine::Arena> arena, int64_t max_batch = 64);

  int64_t picture_count() const override { return inference_.picture_count(); }
  int64_t class_count() const override { return inference_.class_count(); }
  void gradient(std::span<const float> pictures, std::span<const int32_t> labels,
                std::span<float> logits, std::span<float> gradient) override;
  void logits(std::span<const float> pictures, std::span<float> logits) override;

  // As InferenceSession's; the plans are those of a gradient and of an answer.
  void refresh();
  void release();
  void set_trace(engine::Trace* trace);
  engine::PlanSummary plan_summary(int64_t n);
  engine::PlanSummary plan_aside(int64_t n) const;
  const kernels::Exec& exec() const { return exec_; }
  void take_memory() { inference_.take_memory(); }

 private:
  const layers::Classifier& classifier_;
  kernels::Exec exec_;
  InferenceSession inference_;
  PlanCache<layers::GradientStep> plans_;
  engine::Trace* trace_ = nullptr;
};

struct TrainingSessionOptions {
  layers::FrozenBatchNorm frozen_batch_norm = layers::FrozenBatchNorm::kInference;
  kernels::CrossEntropyForm loss = kernels::CrossEntropyForm::kLogits;
  std::vector<float> class_weight;  // [classes], or empty: all 1
  int32_t fake_class = 1;           // the output that means fake
};

// What one step of training saw, before its update.
struct TrainingOutcome {
  int64_t count = 0;    // pictures
  int64_t correct = 0;  // of them
  double loss_sum = 0;  // of the per-sample losses (class weights included)
};

// Trains a classifier: what its layer table says is trainable, by Adam. Classifier and optimiser
// must outlive it. Inference sessions on the same classifier want refresh() afterwards.
class TrainingSession {
 public:
  TrainingSession(layers::Classifier& classifier, optim::Adam& adam, const kernels::Exec& exec,
                  std::shared_ptr<engine::Arena> arena, TrainingSessionOptions options);
  TrainingSession(const TrainingSession&) = delete;
  TrainingSession& operator=(const TrainingSession&) = delete;

  // One step on one batch (never divided: batch norm sees all of it): forward, backward, update.
  // `where` names the moment for messages ("epoch 2, step 17"). A loss that is not finite throws
  // Error(kInput) before weights and moments are touched (running statistics have moved); it names
  // `where`, the pictures' losses and the first layer whose output, or parameter whose value, is
  // not finite.
  TrainingOutcome run(const data::Batch& batch, const std::string& where);

  // The same in parts, so that a CUDA device and the host work at once. start() enqueues the step
  // on `batch`, which stays as it is until finish() has waited for it; stage() in between sends the
  // batch of the next start() on its way. A host device has done the step when start() returns, and
  // stages nothing.
  void start(const data::Batch& batch);
  void stage(const data::Batch& next);
  TrainingOutcome finish(const std::string& where);

  // Throws Error(kInput), naming `where`, if a parameter is not finite: a ReLU hides that from the
  // loss.
  void check_parameters(const std::string& where) const;

  void set_trace(engine::Trace* trace) { trace_ = trace; }
  // Plans the step for n pictures if needed; bytes of that plan. On a CUDA device the batches of
  // the n of the first call can be staged.
  const engine::Step& plan(int64_t n);
  // As InferenceSession's.
  void release();

 private:
  // The inputs of a step on a batch, in the step's order.
  struct Inputs;
  Inputs inputs_of(const data::Batch& batch) const;
  void write_inputs(const layers::TrainingStep& plan, const data::Batch& batch) const;
  void deliver_or_write(const layers::TrainingStep& plan, const data::Batch& batch);
  std::string parameter_not_finite() const;
  std::string first_not_finite(const engine::Step& step) const;

  layers::Classifier& classifier_;
  optim::Adam& adam_;
  kernels::Exec exec_;
  TrainingSessionOptions options_;
  std::shared_ptr<engine::Arena> arena_;
  PlanCache<layers::TrainingStep> plans_;
  // Of what start() began.
  const layers::TrainingStep* running_ = nullptr;
  const data::Batch* batch_ = nullptr;
  // CUDA only: the way of the next inputs, and of which batch they are.
  std::shared_ptr<engine::Staging> staging_;
  const data::Batch* staged_ = nullptr;
  engine::Trace* trace_ = nullptr;
};

}  // namespace verace::apps
