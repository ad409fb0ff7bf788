// A depthwise convolution, its batch norm and a leaky ReLU, for inference: one operation with
// folded weights.
#pragma once

#include <cstdint>
#include <string>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "layers/conv_bn.h"

namespace verace::layers {

struct DepthwiseBnSpec {
  std::string conv_name, bn_name;
  int64_t channels = 0;
  int64_t stride = 1;  // 1 or 2; the filters are 3x3
};

class DepthwiseBn {
 public:
  // Adds the two layers to the table (weights zero, gamma and running variance one); the filter is
  // [channels, 3, 3, 1].
  DepthwiseBn(engine::LayerTable& table, DepthwiseBnSpec spec,
              const BatchNormAttributes& attributes);

  // Appends y = leaky_relu(batch_norm(conv(x)), slope) with running statistics: x [n, h, w,
  // channels] -> y [n, p, q, channels], both fp32. It has no gradient.
  engine::Value append(engine::StepBuilder& builder, engine::Value x, float slope) const;

 private:
  // Writes the folded filter [3, 3, channels] and bias [channels].
  void fold(const kernels::Exec& exec, const engine::Tensor& filter,
            const engine::Tensor& bias) const;

  DepthwiseBnSpec spec_;
  BatchNormAttributes attributes_;
  engine::Layer* conv_;
  engine::Layer* bn_;
};

}  // namespace verace::layers
