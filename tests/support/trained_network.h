// A narrow network that trains in some precision, and how far numbers of 16-bit storage may be from
// those of fp32.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "engine/precision.h"
#include "optim/adam.h"
#include "optim/freeze.h"
#include "tests/support/golden_network.h"

namespace verace::test {

using engine::Precision;

inline constexpr Precision kSixteenBits[] = {Precision::kFp16, Precision::kBf16};

// Half a unit in the last place of a number near 1.
inline double roundoff(Precision precision) {
  return precision == Precision::kFp16 ? 0x1p-11 : 0x1p-8;
}

inline double norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

// |got - want| / |want|, Euclidean; NaN or infinite where either is not finite.
inline double distance(std::span<const float> got, std::span<const float> want) {
  REQUIRE(got.size() == want.size());
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    sum += d * d;
  }
  return std::sqrt(sum) / norm(want);
}

inline const kernels::Exec& one_thread() {
  static const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  return exec;
}

struct Trained {
  std::unique_ptr<layers::Classifier> classifier;
  std::unique_ptr<optim::Adam> adam;
  layers::TrainingStep t;

  void write_inputs(const Golden& g) const {
    t.step.write(t.pictures, std::span<const float>(g.input));
    t.step.write(t.labels, std::span<const int32_t>(g.labels));
  }
  // The mean loss before the step's update.
  double step(const Golden& g) const {
    write_inputs(g);
    t.step.run();
    const std::vector<float> losses = t.step.read_f32(t.loss);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  }
};

struct TrainedSettings {
  Precision precision = Precision::kFp32;
  std::string freeze = "none";
  double learning_rate = 1e-3;
  kernels::LossScaleRule rule = {};
  float scale = 1024.0f;  // where the loss scale starts; the golden network overflows above 8192
  bool scale_dlogits = true;  // false: a planted fault
};

// `classifier` becomes one that trains on `exec`; PyTorch's Adam.
inline Trained make_training(std::unique_ptr<layers::Classifier> classifier, int64_t n,
                             const kernels::Exec& exec, const TrainedSettings& s) {
  Trained result;
  result.classifier = std::move(classifier);
  engine::LayerTable& table = result.classifier->table();
  table.move_to(engine::memory_of(exec));
  result.classifier->set_precision(s.precision);
  optim::freeze(table, s.freeze);
  optim::AdamOptions adam{.learning_rate = s.learning_rate,
                          .placement = kernels::AdamEpsilon::kPyTorch,
                          .epsilon = 1e-8};
  if (engine::needs_loss_scale(s.precision)) adam.loss_scale = s.rule;
  result.adam = std::make_unique<optim::Adam>(table, adam);
  if (adam.loss_scale) result.adam->set_loss_scale({s.scale, 0, 0});
  layers::TrainingOptions options;
  options.from_unit = true;
  if (s.scale_dlogits) options.gradient_scale = result.adam->gradient_scale();
  options.append_update = [adam = result.adam.get()](engine::StepBuilder& b, engine::Value loss) {
    adam->append_check(b, {loss});
    adam->append_update(b);
  };
  result.t = result.classifier->plan_training(exec, std::make_shared<engine::Arena>(), n, options);
  return result;
}

inline Trained make_training(const Golden& g, const kernels::Exec& exec,
                             const TrainedSettings& s = {}) {
  return make_training(g.make(), static_cast<int64_t>(g.labels.size()), exec, s);
}

}  // namespace verace::test
