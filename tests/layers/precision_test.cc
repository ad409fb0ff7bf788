// The whole narrow network with 16-bit storage against fp32: logits, gradients, losses, the loss
// scale, attacks; and which of its tensors stay fp32.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/precision.h"
#include "optim/adam.h"
#include "optim/freeze.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/golden_network.h"
#include "tests/support/tolerances.h"

namespace verace::layers {
namespace {

using engine::Precision;
using test::Golden;

constexpr Precision kStored[] = {Precision::kFp16, Precision::kBf16};

// Half a unit in the last place of a number near 1.
double roundoff(Precision precision) {
  return precision == Precision::kFp16 ? 0x1p-11 : 0x1p-8;
}

double norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

// |got - want| / |want|, Euclidean; NaN where either is not finite.
double distance(std::span<const float> got, std::span<const float> want) {
  REQUIRE(got.size() == want.size());
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    sum += d * d;
  }
  return std::sqrt(sum) / norm(want);
}

struct Trained {
  std::unique_ptr<Classifier> classifier;
  std::unique_ptr<optim::Adam> adam;
  TrainingStep t;

  double step(const Golden& g) {
    t.step.write(t.pictures, std::span<const float>(g.input));
    t.step.write(t.labels, std::span<const int32_t>(g.labels));
    t.step.run();
    const std::vector<float> losses = t.step.read_f32(t.loss);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  }
};

struct Settings {
  Precision precision = Precision::kFp32;
  std::string freeze = "none";
  double learning_rate = 1e-3;
  kernels::LossScaleRule rule = {};
  bool scale_dlogits = true;  // false: a planted fault
};

Trained make_training(const Golden& g, const kernels::Exec& exec, const Settings& s) {
  Trained result;
  result.classifier = g.make();
  Classifier& classifier = *result.classifier;
  classifier.table().move_to(engine::memory_of(exec));
  classifier.set_precision(s.precision);
  optim::freeze(classifier.table(), s.freeze);
  optim::AdamOptions adam{.learning_rate = s.learning_rate,
                          .placement = kernels::AdamEpsilon::kPyTorch,
                          .epsilon = 1e-8};
  if (engine::needs_loss_scale(s.precision)) adam.loss_scale = s.rule;
  result.adam = std::make_unique<optim::Adam>(classifier.table(), adam);
  TrainingOptions options;
  options.from_unit = true;
  if (s.scale_dlogits) options.gradient_scale = result.adam->gradient_scale();
  options.append_update = [adam = result.adam.get()](engine::StepBuilder& b, engine::Value loss) {
    adam->append_check(b, {loss});
    adam->append_update(b);
  };
  result.t = classifier.plan_training(exec, std::make_shared<engine::Arena>(),
                                      static_cast<int64_t>(g.labels.size()), options);
  return result;
}

std::vector<float> evaluate(const Golden& g, const kernels::Exec& exec, Precision precision) {
  auto classifier = g.make();
  classifier->table().move_to(engine::memory_of(exec));
  classifier->set_precision(precision);
  auto t = classifier->plan_inference(exec, std::make_shared<engine::Arena>(),
                                      static_cast<int64_t>(g.labels.size()), true);
  t.step.write(t.pictures, std::span<const float>(g.input));
  t.step.run();
  return t.step.read_f32(t.logits);
}

const kernels::Exec& cpu() {
  static const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  return exec;
}

// Gradients of parameters as they reach Adam, divided by the loss scale.
std::vector<float> gradient_of(const Trained& trained, const engine::Parameter& parameter) {
  std::vector<float> values = engine::read(parameter.gradient);
  if (trained.adam->gradient_scale() == nullptr) return values;
  for (float& v : values) v /= trained.adam->loss_scale().scale;
  return values;
}

}  // namespace

TEST_CASE("logits in 16-bit storage agree with fp32") {
  const Golden g = test::open_torch_golden();
  const std::vector<float> want = g.model.read_f32("eval/logits");
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : kStored) {
      const double d = distance(evaluate(g, exec, p), want);
      MESSAGE(std::string(engine::to_string(p)), " logits ", d, " = ", d / roundoff(p), " u");
    }
  });
}

TEST_CASE("gradients in 16-bit storage agree with fp32") {
  const Golden g = test::open_torch_golden();
  Trained want = make_training(g, cpu(), {});
  const double loss = want.step(g);
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : kStored) {
      Trained got = make_training(g, exec, {.precision = p});
      const double l = got.step(g);
      MESSAGE(std::string(engine::to_string(p)), " loss ", l, " want ", loss);
      double worst = 0, all = 0, all_norm = 0;
      std::string name;
      for (const engine::Parameter* parameter : want.classifier->table().trainable_parameters()) {
        for (const engine::Parameter* other : got.classifier->table().trainable_parameters()) {
          if (other->name != parameter->name) continue;
          const auto a = gradient_of(got, *other), b = engine::read(parameter->gradient);
          const double d = distance(a, b);
          all += d * d * norm(b) * norm(b);
          all_norm += norm(b) * norm(b);
          if (d > worst) worst = d, name = other->name;
        }
      }
      MESSAGE("worst ", name, " ", worst, " all ", std::sqrt(all / all_norm));
    }
  });
}

TEST_CASE("losses") {
  const Golden g = test::open_torch_golden();
  const std::vector<float> want = g.train.read_f32("losses10");
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : kStored) {
      Trained got = make_training(g, exec, {.precision = p});
      std::string line;
      for (size_t i = 0; i < want.size(); ++i) {
        line += std::to_string(got.step(g)) + "/" + std::to_string(want[i]) + " ";
      }
      MESSAGE(line);
    }
  });
}

}  // namespace verace::layers
