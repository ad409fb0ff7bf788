// Helpers of the tests of training: a tiny drawn dataset, a narrow network, and comparison of whole
// networks by bits.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "apps/lib/model_file.h"
#include "apps/lib/trainer.h"
#include "apps/lib/trainer_options.h"
#include "data/synthetic.h"
#include "tests/support/files.h"
#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::apps {

using test::contains;
using test::input_error;
using test::input_error_if_any;
using test::read_text;
using test::TempFolder;

// 11 training pictures of each class, 4 of each in test (and val), 32 pixels.
inline const std::string& tiny_dataset(bool with_val = false) {
  static const TempFolder folder;
  static std::string made[2];
  std::string& path = made[with_val ? 1 : 0];
  if (path.empty()) {
    path = folder / (with_val ? "with-val" : "no-val");
    data::SyntheticOptions options;
    options.size = 32;
    options.pictures_per_class = {11, with_val ? 4 : 0, 4};
    data::write_synthetic_dataset(path, options);
  }
  return path;
}

inline layers::ClassifierOptions narrow_network(int64_t hidden = 6) {
  layers::ClassifierOptions options;
  options.backbone.stem_channels = 4;
  options.input_size = 32;
  options.head_hidden = hidden;
  options.head_slope = hidden > 0 ? 0.05 : 0.0;
  return options;
}

// All values of a network (and its statistics), by tensor name.
inline std::vector<std::pair<std::string, std::vector<float>>> snapshot(
    const layers::Classifier& classifier) {
  std::vector<std::pair<std::string, std::vector<float>>> all;
  for (const engine::Parameter* parameter : classifier.table().parameters()) {
    const auto values = parameter->value.f32_span();
    all.emplace_back(parameter->name, std::vector<float>(values.begin(), values.end()));
  }
  return all;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Name of the first tensor that differs; empty if all bits are equal.
inline std::string first_difference(const std::string& path_a, const std::string& path_b) {
  const weights::WeightFile a(path_a), b(path_b);
  if (a.tensors().size() != b.tensors().size()) return "number of tensors";
  for (const weights::TensorView& tensor : a.tensors()) {
    const weights::TensorView* other = b.find(tensor.name);
    if (other == nullptr || other->bytes.size() != tensor.bytes.size() ||
        std::memcmp(other->bytes.data(), tensor.bytes.data(), tensor.bytes.size()) != 0) {
      return tensor.name;
    }
  }
  return {};
}

// Random weights and statistics, so that nothing is 0 or 1 by chance.
inline void randomise(layers::Classifier& classifier, uint64_t seed) {
  for (engine::Parameter* parameter : classifier.table().parameters()) {
    const auto values = parameter->value.f32_span();
    uint64_t state = seed * 0x9E3779B97F4A7C15u + std::hash<std::string>{}(parameter->name);
    const bool positive = parameter->name.ends_with("running_var");
    const auto scale = 1.0f / std::sqrt(static_cast<float>(values.size()) /
                                            static_cast<float>(parameter->value.shape()[0]) +
                                        1.0f);
    for (float& value : values) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const float unit = static_cast<float>(state >> 40) * 0x1p-24f;
      value = positive ? 0.5f + unit : (2 * unit - 1) * scale;
    }
  }
}

// A run of two epochs on tiny_dataset().
inline TrainOptions tiny_run(const std::string& out, bool with_val = false) {
  TrainOptions o;
  o.data = tiny_dataset(with_val);
  o.out = out;
  o.overrides.variant = engine::Variant::kV1;
  o.stem_channels = 4;
  o.input_size = 32;
  o.head_hidden = 6;
  o.head_slope = 0.05;
  o.epochs = 2;
  o.batch = 5;  // 22 pictures: 4 batches of 5 and one of 2
  o.learning_rate = 1e-3;
  o.flip = true;
  o.seed = 7;
  o.threads = 1;
  o.quiet = true;
  o.workers = 1;
  o.initialisation = layers::Initialisation::kPyTorch;
  return o;
}

// Trains; returns what the run printed.
inline std::string trained(const TrainOptions& options) {
  std::ostringstream out;
  train(options, out);
  return out.str();
}

}  // namespace verace::apps
