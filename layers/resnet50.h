// ResNet-50 without its classifier: stem, sixteen bottleneck blocks, global mean.
//
// He et al. 2016, arXiv 1512.03385, table 1. v1 and v1.5 differ in where blocks 3.0, 4.0 and 5.0
// have their stride (semantics.md A.2, B.1). Layer names are torchvision's; Keras' names and
// indices stand beside them in the layer table.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/network_options.h"
#include "engine/step.h"
#include "layers/build_options.h"
#include "layers/conv_bn.h"

namespace verace::layers {

struct ResNet50Options {
  engine::Variant variant = engine::Variant::kV15;
  engine::PoolMode pool = engine::PoolMode::kPadded;
  int64_t stem_channels = 64;  // 64 times the width multiplier; the features are 32 times this
  BatchNormAttributes batch_norm;
  std::string prefix = "";  // of all names: "body." where it is part of another network
};

class ResNet50 {
 public:
  static constexpr int kBlocks[4] = {3, 4, 6, 3};

  // Adds its layers to the table, in torchvision's order of names.
  ResNet50(engine::LayerTable& table, const ResNet50Options& options);

  // Appends everything: x [n, h, w, 3] normalised pictures -> features [n, 32 * stem_channels].
  // What lies between is stored in the type of x; the features are fp32.
  engine::Value append(engine::StepBuilder& builder, const BuildOptions& options,
                       engine::Value x) const;

  // Appends all but the mean; the maps behind the four stages, [n, h / 4, w / 4, 4 * stem_channels]
  // to [n, h / 32, w / 32, 32 * stem_channels], sizes rounded up.
  std::array<engine::Value, 4> append_stages(engine::StepBuilder& builder,
                                             const BuildOptions& options, engine::Value x) const;

  int64_t feature_count() const { return 32 * options_.stem_channels; }

 private:
  struct Bottleneck {
    std::vector<ConvBn> units;       // 1x1, 3x3, 1x1
    std::vector<ConvBn> projection;  // the shortcut's 1x1 in the first block of a stage, else empty
  };
  Bottleneck make_block(engine::LayerTable& table, int stage, int block, int number,
                        int keras_index) const;
  engine::Value append_block(engine::StepBuilder& builder, const BuildOptions& options,
                             const Bottleneck& block, engine::Value x) const;

  ResNet50Options options_;
  std::vector<ConvBn> stem_;  // one
  std::vector<Bottleneck> blocks_;
};

}  // namespace verace::layers
