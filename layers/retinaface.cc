// RetinaFace's layers: names and widths.
#include "layers/retinaface.h"

#include "kernels/check.h"

namespace verace::layers {

RetinaFace::RetinaFace(const RetinaFaceOptions& options) : options_(options) {
  VERACE_CHECK(options.stem_channels > 0 && options.feature_channels > 0);
  VERACE_CHECK(options.feature_channels % 4 == 0);
  VERACE_CHECK(options.slope >= 0.0f && options.slope < 1.0f);
  if (options.backbone == FaceBackbone::kMobileNet) {
    mobilenet_ = std::make_unique<MobileNet>(
        table_, MobileNetOptions{options.stem_channels, options.slope, {}});
  } else {
    ResNet50Options backbone;
    backbone.stem_channels = options.stem_channels;
    backbone.prefix = "body.";
    resnet_ = std::make_unique<ResNet50>(table_, backbone);
  }
  add_pyramid();
  for (int level = 1; level <= kLevels; ++level) {
    contexts_.push_back(make_context("ssh" + std::to_string(level)));
  }
  for (int level = 0; level < kLevels; ++level) {
    const std::string name = "Head." + std::to_string(level) + ".conv1x1";
    heads_.push_back({&add_head("Class" + name, kAnchors * kScores),
                      &add_head("Bbox" + name, kAnchors * kBoxNumbers),
                      &add_head("Landmark" + name, kAnchors * kLandmarkNumbers)});
  }
}

ConvBn RetinaFace::make_unit(const std::string& name, int64_t from, int64_t to, int64_t kernel) {
  ConvBnSpec spec;
  spec.conv_name = name + ".0";
  spec.bn_name = name + ".1";
  spec.in_channels = from;
  spec.out_channels = to;
  spec.kernel = kernel;
  spec.pad = kernel / 2;
  return ConvBn(table_, spec, {});
}

void RetinaFace::add_pyramid() {
  const int64_t features = options_.feature_channels;
  for (int level = 1; level <= kLevels; ++level) {
    const int64_t channels = (options_.stem_channels * 8) << (level - 1);
    outputs_.push_back(make_unit("fpn.output" + std::to_string(level), channels, features, 1));
  }
  for (int level = 1; level < kLevels; ++level) {
    merges_.push_back(make_unit("fpn.merge" + std::to_string(level), features, features, 3));
  }
}

RetinaFace::Context RetinaFace::make_context(const std::string& name) {
  const int64_t c = options_.feature_channels;
  // Braces: in this order. The lower-case x of the last name is the implementation's.
  return {make_unit(name + ".conv3X3", c, c / 2, 3), make_unit(name + ".conv5X5_1", c, c / 4, 3),
          make_unit(name + ".conv5X5_2", c / 4, c / 4, 3),
          make_unit(name + ".conv7X7_2", c / 4, c / 4, 3),
          make_unit(name + ".conv7x7_3", c / 4, c / 4, 3)};
}

engine::Layer& RetinaFace::add_head(const std::string& name, int64_t outputs) {
  engine::Layer& layer =
      table_.add({name, "", -1, 0, 0, engine::LayerKind::kConvolution, true, {}});
  engine::LayerTable::add_parameter(layer, "weight", {outputs, 1, 1, options_.feature_channels});
  engine::LayerTable::add_parameter(layer, "bias", {outputs});
  return layer;
}

}  // namespace verace::layers
