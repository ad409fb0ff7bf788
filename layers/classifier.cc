// The classifier and its planned steps.
#include "layers/classifier.h"

#include <array>
#include <utility>

#include "engine/with_storage.h"
#include "kernels/check.h"
#include "kernels/image.h"
#include "kernels/loss_scale.h"
#include "kernels/softmax_cross_entropy.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Value;

Classifier::Classifier(ClassifierOptions options)
    : options_(std::move(options)), backbone_(table_, options_.backbone) {
  const int64_t features = backbone_.feature_count();
  // Names as in torchvision's model with fc = Sequential(Linear, LeakyReLU, Linear), so that
  // PyTorch loads the file as it is.
  if (options_.head_hidden > 0) {
    head_.emplace_back(table_, "fc.0", features, options_.head_hidden);
    head_.emplace_back(table_, "fc.2", options_.head_hidden, options_.classes);
  } else {
    head_.emplace_back(table_, "fc", features, options_.classes);
  }
}

void Classifier::initialise_all(Initialisation how, uint64_t seed) {
  for (const auto& layer : table_.layers()) initialise(*layer, how, seed);
}

void Classifier::initialise_head(Initialisation how, uint64_t seed) {
  for (const auto& layer : table_.layers()) {
    if (layer->kind == engine::LayerKind::kDense) initialise(*layer, how, seed);
  }
}

Classifier::Logits Classifier::append(StepBuilder& b, const BuildOptions& options, Value x) const {
  Logits result;
  result.features = backbone_.append(b, options, x);
  result.logits = result.features;
  for (size_t i = 0; i < head_.size(); ++i) {
    const bool hidden = i + 1 < head_.size();
    const auto slope =
        hidden ? std::optional<float>(static_cast<float>(options_.head_slope)) : std::nullopt;
    result.logits = head_[i].append(b, options, result.logits, slope);
  }
  return result;
}

namespace {

// Pictures to the network's input, in the storage type `dtype`.
Value append_normalise_pixels(StepBuilder& b, Value pixels, std::optional<Value> flip,
                              engine::InputScale mode, DType dtype) {
  const engine::Shape s = b.info(pixels).shape;
  const Value z = b.temporary("input", dtype, s);
  std::vector<Value> reads = {pixels};
  if (flip) reads.push_back(*flip);
  engine::with_storage(dtype, [&]<typename T>(T) {
    b.add({"normalise",
           "normalise",
           reads,
           {z},
           0,
           [exec = b.exec(), s, pixels, flip, mode, z](const StepMemory& m) {
             kernels::normalise_pixels<T>(exec, {{s[0], s[1], s[2], s[3]},
                                                 m.u8(pixels),
                                                 flip ? m.u8(*flip) : nullptr,
                                                 mode,
                                                 m.as<T>(z)});
           }});
  });
  return z;
}

Value append_normalise(StepBuilder& b, Value pictures, engine::InputScale mode, DType dtype) {
  const engine::Shape s = b.info(pictures).shape;
  const Value z = b.temporary("input", dtype, s);
  engine::with_storage(dtype, [&]<typename T>(T) {
    b.add({"normalise",
           "normalise",
           {pictures},
           {z},
           0,
           [exec = b.exec(), s, pictures, mode, z](const StepMemory& m) {
             kernels::normalise<T>(exec,
                                   {{s[0], s[1], s[2], s[3]}, m.f32(pictures), mode, m.as<T>(z)});
           }});
  });
  return z;
}

// dx = d loss / d pictures from dz = d loss / d input.
void append_normalise_backward(StepBuilder& b, Value dz, engine::InputScale mode, Value dx) {
  const engine::Shape s = b.info(dz).shape;
  engine::with_storage(b.info(dz).dtype, [&]<typename T>(T) {
    b.add({"normalise backward",
           "normalise",
           {dz},
           {dx},
           0,
           [exec = b.exec(), s, dz, mode, dx](const StepMemory& m) {
             kernels::normalise_backward<T>(
                 exec, {{s[0], s[1], s[2], s[3]}, m.as<T>(dz), mode, m.f32(dx)});
           }});
  });
}

// x / *scale in place.
Value append_unscale(StepBuilder& b, Value x, const engine::Tensor& scale,
                     const std::string& name) {
  const Value y = b.in_place(x, name);
  b.add({"unscale",
         "unscale",
         {x},
         {y},
         0,
         [exec = b.exec(), y, &scale,
          count = engine::element_count(b.info(x).shape)](const StepMemory& m) {
           const kernels::StorageTensor tensors[] = {{m.f32(y), count}};
           kernels::unscale(exec, {tensors, scale.f32()});
         }});
  return y;
}

// What the loss operation computes; absent values are not wanted.
struct LossValues {
  Value logits;
  std::optional<Value> labels = {}, probabilities = {}, loss = {}, dlogits = {};
  kernels::CrossEntropyForm form = kernels::CrossEntropyForm::kLogits;
  kernels::CrossEntropyReduction reduction = kernels::CrossEntropyReduction::kMean;
  const engine::Tensor* class_weight = nullptr;
  const float* gradient_scale = nullptr;
};

void append_loss(StepBuilder& b, const LossValues& v) {
  const engine::Shape shape = b.info(v.logits).shape;
  std::vector<Value> reads = {v.logits}, writes;
  if (v.labels) reads.push_back(*v.labels);
  for (const auto& value : {v.probabilities, v.loss, v.dlogits}) {
    if (value) writes.push_back(*value);
  }
  b.add({"softmax cross-entropy", "softmax cross-entropy", reads, writes, 0,
         [exec = b.exec(), shape, v](const StepMemory& m) {
           kernels::softmax_cross_entropy(
               exec, {.n = shape[0],
                      .classes = shape[1],
                      .logits = m.f32(v.logits),
                      .labels = v.labels ? m.i32(*v.labels) : nullptr,
                      .class_weight = v.class_weight ? v.class_weight->f32() : nullptr,
                      .form = v.form,
                      .reduction = v.reduction,
                      .probabilities = m.f32(v.probabilities),
                      .loss = m.f32(v.loss),
                      .dlogits = m.f32(v.dlogits),
                      .gradient_scale = v.gradient_scale});
         }});
}

Value kept(StepBuilder& b, const std::string& name, engine::Shape shape) {
  const Value v = b.temporary(name, DType::kF32, std::move(shape));
  b.keep(v);
  return v;
}

}  // namespace

void Classifier::check_plan(const kernels::Exec& exec, int64_t n) const {
  VERACE_CHECK(n > 0);
  VERACE_CHECK(table_.memory() == engine::memory_of(exec), "the parameters lie in other memory");
}

TrainingStep Classifier::plan_training(const kernels::Exec& exec,
                                       std::shared_ptr<engine::Arena> arena, int64_t n,
                                       const TrainingOptions& options) {
  check_plan(exec, n);
  VERACE_CHECK(options.build.training);
  const DType storage = engine::storage_of(precision_);
  table_.allocate_gradients(storage);
  StepBuilder b(exec);
  TrainingStep t;
  const int64_t s = options_.input_size;
  t.pictures = b.input("pictures", options.from_unit ? DType::kF32 : DType::kU8, {n, s, s, 3});
  t.labels = b.input("labels", DType::kI32, {n});
  if (!options.from_unit) t.flip = b.input("flip", DType::kU8, {n});
  const Value x = options.from_unit ? append_normalise(b, t.pictures, options_.input_scale, storage)
                                    : append_normalise_pixels(b, t.pictures, t.flip,
                                                              options_.input_scale, storage);
  const Logits out = append(b, options.build, x);
  t.loss = kept(b, "loss", {n});
  t.probabilities = kept(b, "probabilities", {n, options_.classes});
  LossValues v{out.logits, t.labels, t.probabilities, t.loss, {}, options.loss};
  if (!options.class_weight.empty()) {
    VERACE_CHECK(static_cast<int64_t>(options.class_weight.size()) == options_.classes);
    engine::Tensor& weight = b.constant("class weight", {options_.classes});
    engine::write(weight, options.class_weight);
    v.class_weight = &weight;
  }
  const Value dlogits = b.temporary("dlogits", DType::kF32, {n, options_.classes});
  v.dlogits = dlogits;
  v.gradient_scale = options.gradient_scale;
  append_loss(b, v);
  b.add_gradient(out.logits, dlogits);
  b.backward();
  if (options.append_update) options.append_update(b, t.loss);
  t.step = std::move(b).plan(std::move(arena));
  t.step.prepare();
  return t;
}

RecalibrationStep Classifier::plan_recalibration(const kernels::Exec& exec,
                                                 std::shared_ptr<engine::Arena> arena, int64_t n,
                                                 FrozenBatchNorm frozen) const {
  check_plan(exec, n);
  StepBuilder b(exec);
  RecalibrationStep t;
  t.momentum = std::make_unique<double>(1.0);
  const int64_t s = options_.input_size;
  t.pictures = b.input("pictures", DType::kU8, {n, s, s, 3});
  const Value x = append_normalise_pixels(b, t.pictures, {}, options_.input_scale,
                                          engine::storage_of(precision_));
  backbone_.append(b, {true, frozen, t.momentum.get()}, x);
  t.step = std::move(b).plan(std::move(arena));
  t.step.prepare();
  return t;
}

InferenceStep Classifier::plan_inference(const kernels::Exec& exec,
                                         std::shared_ptr<engine::Arena> arena, int64_t n,
                                         bool from_unit) const {
  check_plan(exec, n);
  StepBuilder b(exec);
  InferenceStep t;
  const int64_t s = options_.input_size;
  t.pictures = b.input("pictures", from_unit ? DType::kF32 : DType::kU8, {n, s, s, 3});
  const DType storage = engine::storage_of(precision_);
  const Value x = from_unit
                      ? append_normalise(b, t.pictures, options_.input_scale, storage)
                      : append_normalise_pixels(b, t.pictures, {}, options_.input_scale, storage);
  const Logits out = append(b, {}, x);
  t.features = out.features;
  t.logits = out.logits;
  b.keep(t.features);
  b.keep(t.logits);
  t.probabilities = kept(b, "probabilities", {n, options_.classes});
  append_loss(b, {.logits = out.logits, .probabilities = t.probabilities});
  t.step = std::move(b).plan(std::move(arena));
  t.step.prepare();
  return t;
}

GradientStep Classifier::plan_gradient(const kernels::Exec& exec,
                                       std::shared_ptr<engine::Arena> arena, int64_t n) const {
  check_plan(exec, n);
  StepBuilder b(exec);
  GradientStep t;
  const int64_t s = options_.input_size;
  t.pictures = b.input("pictures", DType::kF32, {n, s, s, 3});
  t.labels = b.input("labels", DType::kI32, {n});
  const Value x =
      append_normalise(b, t.pictures, options_.input_scale, engine::storage_of(precision_));
  b.set_needs_gradient(x);
  const Logits out = append(b, {}, x);
  t.logits = out.logits;
  b.keep(t.logits);
  t.loss = kept(b, "loss", {n});
  const Value dlogits = b.temporary("dlogits", DType::kF32, {n, options_.classes});
  engine::Tensor* scale = nullptr;
  if (precision_ == engine::Precision::kFp16) {
    scale = &b.constant("gradient scale", {1});
    engine::write(*scale, std::array{GradientStep::kHalfScale});
  }
  append_loss(b, {.logits = out.logits,
                  .labels = t.labels,
                  .loss = t.loss,
                  .dlogits = dlogits,
                  .reduction = kernels::CrossEntropyReduction::kSum,
                  .gradient_scale = scale ? scale->f32() : nullptr});
  b.add_gradient(out.logits, dlogits);
  b.backward();
  const std::vector<Value> dz = b.gradients(x);
  VERACE_CHECK(dz.size() == 1);
  t.dx = kept(b, scale ? "dx scaled" : "dx", {n, s, s, 3});
  append_normalise_backward(b, dz[0], options_.input_scale, t.dx);
  if (scale) {
    b.set_role(t.dx, engine::ValueRole::kAuxiliary);
    t.dx = append_unscale(b, t.dx, *scale, "dx");
  }
  b.mark_gradient(t.pictures, t.dx);
  t.step = std::move(b).plan(std::move(arena));
  t.step.prepare();
  return t;
}

}  // namespace verace::layers
