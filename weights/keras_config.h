// What the description of a model that Keras stores with its weights says about a ResNet-50.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/network_options.h"

namespace verace::weights {

// Limits that keep a hostile text harmless; a ResNet-50's has some 100 kB and a depth of 10.
inline constexpr size_t kMaxKerasConfigBytes = 1'000'000;
inline constexpr int kMaxKerasConfigDepth = 64;

// Empty where it says nothing that we understand.
struct KerasConfig {
  std::optional<engine::Variant> variant;         // from the strides of the stages' first blocks
  std::optional<engine::PoolMode> pool;           // from the stem's pooling and its padding
  std::optional<double> bn_epsilon;               // of all batch norms
  std::optional<double> bn_momentum;              // 1 - Keras' momentum
  std::optional<engine::InputScale> input_scale;  // from a layer Rescaling
  std::optional<double> head_slope;               // of the activation behind the hidden layer
  std::optional<int64_t> input_size;
  // Phrases about what contradicts itself or is not what our network does ("batch norms with
  // different epsilon: 0.001 and 1e-05").
  std::vector<std::string> contradictions;
  std::vector<std::string> head_contradictions;  // the same of what stands behind the backbone
  bool understood = false;                       // it is JSON with layers
};

// `text` is the JSON of the HDF5 attribute model_config. Never throws for its content.
KerasConfig read_keras_config(const std::string& text);

}  // namespace verace::weights
