// Random initial weights by Glorot's and by He's rule.
#include "layers/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/rng.h"

namespace verace::layers {
namespace {

void fill_uniform(engine::Parameter& parameter, double limit, uint64_t seed) {
  const engine::Philox random(seed, engine::stream_of(parameter.name));
  const auto values = parameter.value.f32_span();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((2.0 * random.uniform(i) - 1.0) * limit);
  }
}

// Box & Muller 1958.
void fill_normal(engine::Parameter& parameter, double deviation, uint64_t seed) {
  const engine::Philox random(seed, engine::stream_of(parameter.name));
  const auto values = parameter.value.f32_span();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto words = random.block(i);
    const double u = (words[0] + 1.0) * 0x1.0p-32,
                 angle = 2.0 * std::numbers::pi * words[1] * 0x1.0p-32;
    values[i] = static_cast<float>(deviation * std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
  }
}

}  // namespace

void initialise(engine::Layer& layer, Initialisation how, uint64_t seed) {
  engine::Parameter& weight = layer.parameter("weight");
  if (layer.kind == engine::LayerKind::kBatchNorm) {
    std::ranges::fill(weight.value.f32_span(), 1.0f);
    std::ranges::fill(layer.parameter("bias").value.f32_span(), 0.0f);
    std::ranges::fill(layer.parameter("running_mean").value.f32_span(), 0.0f);
    std::ranges::fill(layer.parameter("running_var").value.f32_span(), 1.0f);
    return;
  }
  const engine::Shape& shape = weight.value.shape();
  const bool dense = layer.kind == engine::LayerKind::kDense;
  const double taps = dense ? 1.0 : static_cast<double>(shape[1] * shape[2]);
  const double fan_in = taps * static_cast<double>(shape.back()),
               fan_out = taps * static_cast<double>(shape[0]);
  if (how == Initialisation::kKeras) {
    fill_uniform(weight, std::sqrt(6.0 / (fan_in + fan_out)), seed);
  } else if (dense) {
    fill_uniform(weight, 1.0 / std::sqrt(fan_in), seed);
  } else {
    fill_normal(weight, std::sqrt(2.0 / fan_out), seed);
  }
  if (!dense) return;
  engine::Parameter& bias = layer.parameter("bias");
  if (how == Initialisation::kKeras) {
    std::ranges::fill(bias.value.f32_span(), 0.0f);
  } else {
    fill_uniform(bias, 1.0 / std::sqrt(fan_in), seed);
  }
}

}  // namespace verace::layers
