// Which tensors of a step can be looked at: activations, statistics, gradients.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"

namespace verace::apps {

enum class TensorKind { kActivation, kStatistic, kGradient, kParameterGradient };
const char* to_string(TensorKind kind);

// One tensor, and where it comes from: a value of the step, a parameter's gradient, or the sum of
// the contributions to a value's gradient.
struct ListedTensor {
  int64_t operation = -1;  // after which it is complete; -1: before the step (an input)
  std::string layer;       // "layer1.0.conv1", "maxpool", "input", "softmax"
  std::string does;        // the whole name of the operation: "layer1.0.conv1 forward"
  std::string name;        // "layer1.0.conv1 z"
  TensorKind kind = TensorKind::kActivation;
  std::string gradient_of;  // for gradients: of which activation or parameter
  engine::Shape shape;

  engine::Value value;                       // if it is one (id >= 0)
  const engine::Tensor* tensor = nullptr;    // a parameter's gradient
  std::vector<engine::Value> contributions;  // of a sum: two or more
};

// All fp32 tensors of the step in the order in which they become complete, auxiliary values left
// out. Where several contributions make a value's gradient (a value that forks), their sum is
// listed too, as "NAME gradient".
std::vector<ListedTensor> list_tensors(const engine::Step& step);

// Those of the layers that `filter` names: a layer (torchvision's or Keras' name), a group of
// layers ("layer1", "layer1.0"), or another part of the step ("maxpool", "input", "softmax").
// Throws Error(kInput) that begins with "--layer" for a name that is none, offering near ones, and
// for a batch norm that was folded into its convolution.
std::vector<ListedTensor> select_layer(const std::vector<ListedTensor>& all,
                                       const engine::LayerTable& table, const std::string& filter);

}  // namespace verace::apps
