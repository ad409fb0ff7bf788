// A dense (fully connected) layer with an optional (leaky) ReLU.
#pragma once

#include <optional>
#include <string>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "layers/build_options.h"

namespace verace::layers {

class Dense {
 public:
  // Adds the layer to the table: weight [out, in], bias [out], both zero.
  Dense(engine::LayerTable& table, const std::string& name, int64_t in, int64_t out);

  // Appends y = act(x W^T + b) and, if y needs a gradient, its backward: x [n, in], y [n, out]. act
  // = leaky ReLU with the slope (0: ReLU, part of the product unless training), or nothing.
  engine::Value append(engine::StepBuilder& builder, const BuildOptions& options, engine::Value x,
                       std::optional<float> slope) const;

 private:
  struct Forward {          // what the backward pass must know of the forward one
    engine::Value x, z, y;  // z: before the activation (y without one, or a fused one)
    std::optional<float> slope;
    bool trainable = false;
  };
  void append_backward(engine::StepBuilder& builder, const Forward& forward) const;
  void append_weight_gradients(engine::StepBuilder& builder, engine::Value x,
                               engine::Value dy) const;
  void append_input_gradient(engine::StepBuilder& builder, engine::Value x, engine::Value dy) const;

  engine::Layer* layer_;
  int64_t in_, out_;
};

}  // namespace verace::layers
