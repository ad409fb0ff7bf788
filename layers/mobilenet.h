// MobileNet v1 as RetinaFace's backbone: a stem and thirteen pairs of a depthwise and a pointwise
// convolution, for inference.
//
// Howard et al. 2017, arXiv 1704.04861, table 1; names, widths and stages as in semantics.md C.1.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "layers/conv_bn.h"
#include "layers/depthwise_bn.h"

namespace verace::layers {

struct MobileNetOptions {
  int64_t stem_channels = 8;  // 32 times the width multiplier
  float slope = 0.1f;         // of all leaky ReLUs, [0, 1); 0: ReLU
  BatchNormAttributes batch_norm;
};

class MobileNet {
 public:
  // Adds its layers to the table: "body.stage1.0.0" (the stem), "body.stage1.1.0" ...
  MobileNet(engine::LayerTable& table, const MobileNetOptions& options);

  // x [n, h, w, 3] -> the maps behind the three stages: [n, h / 8, w / 8, 8 * stem_channels], then
  // 16ths with twice the channels and 32nds with four times; sizes rounded up.
  std::array<engine::Value, 3> append(engine::StepBuilder& builder, engine::Value x) const;

 private:
  struct Pair {
    DepthwiseBn depthwise;
    ConvBn pointwise;
    bool ends_stage;
  };
  MobileNetOptions options_;
  std::vector<ConvBn> stem_;  // one
  std::vector<Pair> pairs_;
};

}  // namespace verace::layers
