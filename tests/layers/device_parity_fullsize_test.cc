// Whole networks on a CUDA device against the CPU: losses, gradients, weights, logits, attack.
//
// At full size (ResNet-50 v1.5, 224 x 224) on a GPU; narrow where CUDA is emulated. For precisions
// that round more than fp32 the bounds come from their unit roundoff u: each of some 50 layers adds
// errors of random sign of about u of its own values, sqrt(50) u in all. In an untrained network,
// where every value may lie near the kink of a ReLU, that turns so many of them that the gradients
// of early layers have little in common with those of fp32 (their norm, and whether training works,
// have; each operation is compared in tests/layers/precision_test.cc): there the head's are
// compared.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "engine/precision.h"
#include "engine/transfer.h"
#include "kernels/perturb.h"
#include "layers/classifier.h"
#include "optim/adam.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"
#include "tests/support/stream.h"
#include "tests/support/tolerances.h"

namespace verace::layers::device_parity_fullsize_test {
namespace {

using test::Comparison;
using test::OpClass;

constexpr int64_t kDepth = 53;  // convolutions in sequence, more or less
constexpr int kSteps = 3;       // the third one as a captured graph
constexpr double kLearningRate = 1e-4;
constexpr float kLossScale = 1024;  // of fp16

// What is allowed between a precision of the device and fp32 on the CPU.
struct Bounds {
  engine::Precision precision;
  double outputs;           // features and logits, of the largest
  double gradient_error;    // norm of the difference, of the norm of each tensor
  double first_loss, loss;  // relative: of the first step, of all
  double weights_off;       // share of weights that are not where they belong after one step
  double equal_signs;       // share of the attack's signs
};
const Bounds kBounds[] = {
    // 53 layers of rounding at 2^-24 make 2e-5 of the outputs. In batch norms over a small batch
    // many
    // values lie near the kink of the ReLU behind them, and each that rounding puts on the other
    // side
    // changes the gradients of all layers before it: 1 to 2 % of their norm between oneDNN and
    // plain
    // loops. Later losses: Adam moves a weight by its gradient's sign.
    {engine::Precision::kFp32, 1e-3, 0.1, 1e-4, 5e-2, 0.02, 0.98},
    // u = 2^-11: sqrt(50) u is 0.35 % of a value, 5 to 10 % of the largest where batch norm
    // divides by the deviation of few values, as in the narrow network.
    {engine::Precision::kTf32, 0.2, 0.5, 1e-2, 0.1, 0.3, 0.7},
    {engine::Precision::kFp16, 0.2, 0.5, 1e-2, 0.1, 0.3, 0.7},
    // u = 2^-8: eight times that.
    {engine::Precision::kBf16, 0.5, 0.8, 4e-2, 0.2, 0.5, 0.53},
};

ClassifierOptions network() {
  ClassifierOptions options;
  options.head_hidden = 128;
  options.head_slope = 0.05;
  // After few steps the running statistics are those of the batch.
  options.backbone.batch_norm.momentum = 0.9;
  if (kernels::cuda_is_emulated) {
    options.backbone.stem_channels = 4;
    options.input_size = 64;
  }
  return options;
}

constexpr int64_t kBatch = 6;

// Waves of another length and colour in each picture, and noise: pictures that a network tells
// apart, so that their gradients do not cancel.
std::vector<float> pictures(const ClassifierOptions& options) {
  const int64_t size = options.input_size;
  std::vector<float> values = test::uniform(kBatch * size * size * 3, 17, 0.0f, 0.3f);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t picture = at / (size * size * 3), row = at / (size * 3) % size, colour = at % 3;
    const double wave = std::sin(static_cast<double>((row + 7 * colour) * (picture + 1)) / 9.0);
    values[i] += 0.35f + 0.35f * static_cast<float>(wave);
  }
  return values;
}

std::vector<int32_t> labels() {
  std::vector<int32_t> values(static_cast<size_t>(kBatch));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i % 2);
  return values;
}

// Emulated, 16 bits take ten times as long as fp32, and the access checker another ten.
bool is_wanted(engine::Precision precision) {
  if (!kernels::cuda_is_emulated || precision == engine::Precision::kFp32) return true;
#if defined(VERACE_SIMT_CHECK) && VERACE_SIMT_CHECK
  return false;
#else
  return precision == engine::Precision::kFp16;
#endif
}

std::string name_of(const Bounds& bounds) {
  return std::string(engine::to_string(bounds.precision));
}

std::unique_ptr<Classifier> make(const ClassifierOptions& options,
                                 engine::Precision precision = engine::Precision::kFp32) {
  auto classifier = std::make_unique<Classifier>(options);
  classifier->set_precision(precision);
  classifier->initialise_all(Initialisation::kPyTorch, 3);
  return classifier;
}

double norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

// The difference's norm, of the norm of `want`.
Comparison compare_norms(std::span<const float> got, std::span<const float> want, double bound) {
  std::vector<float> difference(want.size());
  if (got.size() != want.size() || want.empty()) return {false, "sizes differ"};
  for (size_t i = 0; i < want.size(); ++i) difference[i] = got[i] - want[i];
  const double used = norm(difference) / (bound * norm(want));
  return {used <= 1.0, "share of the tolerance used: " + std::to_string(used), used};
}

Comparison compare_outputs(std::span<const float> got, std::span<const float> want, double bound) {
  double largest = 0;
  for (const float v : want) largest = std::max(largest, static_cast<double>(std::abs(v)));
  return test::compare(got, want, {bound * largest, 0, "of the largest"}, 0.9);
}

using Tensors = std::map<std::string, std::vector<float>>;

struct Trained {
  std::vector<double> losses;            // mean, of each step
  Tensors gradients, weights, finished;  // of the first step, after it, and after the last one
};

Tensors values_of(const engine::LayerTable& table) {
  Tensors all;
  for (const engine::Parameter* p : table.parameters()) all[p->name] = engine::read(p->value);
  return all;
}

Trained train(const kernels::Exec& device, engine::Precision precision) {
  const kernels::Exec exec = engine::with_precision(device, precision, "test");
  const ClassifierOptions options = network();
  auto classifier = make(options, precision);
  classifier->table().move_to(engine::memory_of(exec));
  optim::AdamOptions rule{.learning_rate = kLearningRate};
  // Small enough that no step is left out: the first ones are compared.
  if (engine::needs_loss_scale(precision)) rule.loss_scale.emplace();
  optim::Adam adam(classifier->table(), rule);
  if (rule.loss_scale) adam.set_loss_scale({kLossScale, 0, 0});
  TrainingOptions training;
  training.from_unit = true;
  training.gradient_scale = adam.gradient_scale();
  training.append_update = [&](engine::StepBuilder& b, engine::Value) { adam.append_update(b); };
  TrainingStep t =
      classifier->plan_training(exec, std::make_shared<engine::Arena>(), kBatch, training);
  Trained result;
  for (int i = 0; i < kSteps; ++i) {
    t.step.write(t.pictures, std::span<const float>(pictures(options)));
    t.step.write(t.labels, std::span<const int32_t>(labels()));
    t.step.run();
    const std::vector<float> loss = t.step.read_f32(t.loss);
    result.losses.push_back(std::accumulate(loss.begin(), loss.end(), 0.0) /
                            static_cast<double>(loss.size()));
    if (i > 0) continue;
    for (const engine::Parameter* p : classifier->table().trainable_parameters()) {
      std::vector<float>& gradient = result.gradients[p->name] = engine::read(p->gradient);
      if (rule.loss_scale)
        for (float& value : gradient) value /= kLossScale;
    }
    result.weights = values_of(classifier->table());
  }
  result.finished = values_of(classifier->table());
  return result;
}

struct Judged {
  std::vector<float> features, logits, dx;
};

// With the weights of a finished training: so the statistics of batch norms are those of pictures.
Judged judge(const kernels::Exec& device, engine::Precision precision, const Tensors& weights) {
  const kernels::Exec exec = engine::with_precision(device, precision, "test");
  const ClassifierOptions options = network();
  auto classifier = make(options, precision);
  classifier->table().move_to(engine::memory_of(exec));
  for (const engine::Parameter* p : classifier->table().parameters()) {
    engine::write(p->value, weights.at(p->name));
  }
  const auto arena = std::make_shared<engine::Arena>();
  Judged result;
  {
    InferenceStep t = classifier->plan_inference(exec, arena, kBatch, true);
    t.step.write(t.pictures, std::span<const float>(pictures(options)));
    for (int i = 0; i < 3; ++i) t.step.run();  // the third as a captured graph
    result.features = t.step.read_f32(t.features);
    result.logits = t.step.read_f32(t.logits);
  }
  GradientStep t = classifier->plan_gradient(exec, arena, kBatch);
  t.step.write(t.pictures, std::span<const float>(pictures(options)));
  t.step.write(t.labels, std::span<const int32_t>(labels()));
  for (int i = 0; i < 3; ++i) t.step.run();
  result.dx = t.step.read_f32(t.dx);
  return result;
}

double share_of_equal_signs(const std::vector<float>& got, const std::vector<float>& want) {
  int64_t equal = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    equal += kernels::sign_of(got[i]) == kernels::sign_of(want[i]);
  }
  return static_cast<double>(equal) / static_cast<double>(want.size());
}

// Share of the weights that one step of Adam put elsewhere by more than half a learning rate.
double share_off(const Tensors& got, const Tensors& want) {
  int64_t off = 0, all = 0;
  for (const auto& [name, values] : want) {
    if (name.find("running_") != std::string::npos) continue;
    for (size_t i = 0; i < values.size(); ++i) {
      off += !(std::abs(static_cast<double>(got.at(name)[i]) - values[i]) <= 0.5 * kLearningRate);
      ++all;
    }
  }
  return static_cast<double>(off) / static_cast<double>(all);
}

void check_training(const Trained& got, const Trained& want, const Bounds& bounds) {
  REQUIRE(got.losses.size() == want.losses.size());
  for (size_t i = 0; i < want.losses.size(); ++i) {
    const double off = std::abs(got.losses[i] / want.losses[i] - 1);
    MESSAGE(name_of(bounds), " loss ", i + 1, ": ", got.losses[i], ", on the CPU ", want.losses[i]);
    CHECK(off <= (i == 0 ? bounds.first_loss : bounds.loss));
  }
  CHECK(want.losses.back() < want.losses.front());
  double worst = 0;
  for (const auto& [name, values] : want.gradients) {
    if (bounds.precision != engine::Precision::kFp32 && !name.starts_with("fc.")) continue;
    const Comparison c = compare_norms(got.gradients.at(name), values, bounds.gradient_error);
    test::expect_ok("gradient of " + name, c);
    worst = std::max(worst, c.used * bounds.gradient_error);
  }
  MESSAGE(name_of(bounds), ": gradients differ by ", worst, " of their norm at most");
  for (const auto& [name, values] : want.weights) {
    if (name.find("running_") == std::string::npos) continue;
    test::expect_ok(name, compare_outputs(got.weights.at(name), values, bounds.outputs));
  }
  const double off = share_off(got.weights, want.weights);
  MESSAGE(name_of(bounds), ": ", 100 * off, " % of the weights went elsewhere in the first step");
  CHECK(off <= bounds.weights_off);
}

TEST_CASE("a network trains, judges and is attacked on the device as on the CPU") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  const kernels::Exec cpu = kernels::make_exec(kernels::DeviceKind::kCpu);
  const Trained trained = train(cpu, engine::Precision::kFp32);
  const Judged judged = judge(cpu, engine::Precision::kFp32, trained.finished);
  const test::DeviceStream stream;
  kernels::Exec cuda{kernels::DeviceKind::kCuda, 1};
  cuda.stream = stream.get();
  for (const Bounds& bounds : kBounds) {
    if (!is_wanted(bounds.precision)) continue;
    INFO("precision ", name_of(bounds));
    check_training(train(cuda, bounds.precision), trained, bounds);
    const Judged got = judge(cuda, bounds.precision, trained.finished);
    const Comparison features = compare_outputs(got.features, judged.features, bounds.outputs);
    MESSAGE(name_of(bounds), ": features differ by ", features.used * bounds.outputs,
            " of the largest");
    test::expect_ok("features", features);
    test::expect_ok("logits", compare_outputs(got.logits, judged.logits, bounds.outputs));
    const double signs = share_of_equal_signs(got.dx, judged.dx);
    MESSAGE(name_of(bounds), ": ", 100 * signs, " % of the attack's signs are equal");
    CHECK(signs >= bounds.equal_signs);
  }
}

TEST_CASE("planted: one wrong filter of the device is seen") {
  if (!test::cuda_is_present()) return;
  const test::DeviceStream stream;
  kernels::Exec cuda{kernels::DeviceKind::kCuda, 1};
  cuda.stream = stream.get();
  const kernels::Exec cpu = kernels::make_exec(kernels::DeviceKind::kCpu);
  Tensors weights = train(cpu, engine::Precision::kFp32).finished;
  const Judged right = judge(cpu, engine::Precision::kFp32, weights);
  std::vector<float>& filters = weights.at("layer3.2.conv2.weight");  // [k, r, s, c]
  const size_t one = filters.size() / static_cast<size_t>(4 * network().backbone.stem_channels);
  std::fill_n(filters.begin(), one, 0.0f);
  const Judged wrong = judge(cuda, engine::Precision::kFp32, weights);
  test::expect_caught("a filter of zeros",
                      compare_outputs(wrong.features, right.features, kBounds[0].outputs));
}

}  // namespace
}  // namespace verace::layers::device_parity_fullsize_test
