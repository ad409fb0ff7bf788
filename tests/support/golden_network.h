// Networks and expected tensors from the golden files of tests/goldens (made by the scripts beside
// them).
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "layers/classifier.h"
#include "weights/name_map.h"
#include "weights/weight_file.h"

namespace verace::test {

inline std::string golden_path(const std::string& file) {
  return std::string(VERACE_GOLDENS) + "/" + file;
}

// A tensor of the file as our engine keeps it: 4-D filters [k, c, r, s] become [k, r, s, c]; all
// else as it is.
inline std::vector<float> golden_parameter(const weights::WeightFile& file,
                                           const std::string& name) {
  std::vector<float> values = file.read_f32(name);
  const auto* info = file.find(name);
  REQUIRE(info != nullptr);
  if (info->shape.size() != 4) return values;
  std::vector<float> result(values.size());
  const int64_t k = info->shape[0], c = info->shape[1], r = info->shape[2], s = info->shape[3];
  size_t to = 0;
  for (int64_t ik = 0; ik < k; ++ik)
    for (int64_t ir = 0; ir < r; ++ir)
      for (int64_t is = 0; is < s; ++is)
        for (int64_t ic = 0; ic < c; ++ic)
          result[to++] = values[static_cast<size_t>(((ik * c + ic) * r + ir) * s + is)];
  return result;
}

// Copies prefix + name of every parameter into the table. Convolution biases (Keras) are folded
// into the running mean, which is exact in every mode of batch norm.
inline void load_golden(engine::LayerTable& table, const weights::WeightFile& file,
                        const std::string& prefix) {
  const engine::Layer* convolution = nullptr;
  for (const auto& layer : table.layers()) {
    for (const auto& parameter : layer->parameters) {
      const std::vector<float> values = golden_parameter(file, prefix + parameter->name);
      REQUIRE(static_cast<int64_t>(values.size()) == parameter->value.count());
      std::copy(values.begin(), values.end(), parameter->value.f32());
    }
    if (layer->kind == engine::LayerKind::kConvolution) convolution = layer.get();
    if (layer->kind != engine::LayerKind::kBatchNorm ||
        file.find(prefix + convolution->name + ".bias") == nullptr)
      continue;
    const std::vector<float> bias = file.read_f32(prefix + convolution->name + ".bias");
    float* mean = layer->parameter("running_mean").value.f32();
    for (size_t i = 0; i < bias.size(); ++i) mean[i] -= bias[i];
  }
}

struct Golden {
  weights::WeightFile model, train, attack;
  layers::ClassifierOptions options;
  std::vector<float> input;     // [6, 64, 64, 3] in [0, 1]
  std::vector<int32_t> labels;  // [6]

  std::unique_ptr<layers::Classifier> make() const {
    auto classifier = std::make_unique<layers::Classifier>(options);
    load_golden(classifier->table(), model, "weights/");
    return classifier;
  }
};

inline Golden open_golden(const std::string& stem) {
  Golden g{weights::WeightFile(golden_path(stem + ".safetensors")),
           weights::WeightFile(golden_path(stem + "_train.safetensors")),
           weights::WeightFile(golden_path(stem + "_attack.safetensors")),
           {},
           {},
           {}};
  g.options.backbone.stem_channels = 4;
  g.options.input_size = 64;
  g.options.head_hidden = 24;
  g.options.head_slope = 0.05;
  g.input = g.model.read_f32("input");
  for (const float label : g.model.read_f32("labels"))
    g.labels.push_back(static_cast<int32_t>(label));
  return g;
}

// PyTorch, v1.5.
inline Golden open_torch_golden() { return open_golden("torch_v15_narrow"); }

// Keras 3, v1.
inline Golden open_keras_golden() {
  Golden g = open_golden("keras_v1_narrow");
  g.options.backbone.variant = engine::Variant::kV1;
  g.options.backbone.batch_norm = {1.001e-5, 0.01, engine::RunningVariance::kBiased};
  g.options.input_scale = engine::InputScale::kCaffe;
  return g;
}

}  // namespace verace::test
