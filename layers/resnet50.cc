// Names, geometry and wiring of the blocks of ResNet-50.
#include "layers/resnet50.h"

#include <string>

#include "layers/pool.h"

namespace verace::layers {

using engine::Value;

namespace {

// Positions in Keras' model.layers, relative to the block's first layer (semantics.md A.1). A
// projection block has 12 layers, with the shortcut's convolution and batch norm just before the
// third ones; a plain block has 10.
constexpr int kKerasFirstBlock = 7;
constexpr int kKerasProjectionLayers = 12, kKerasPlainLayers = 10;

ConvBnSpec unit_spec(int stage, int block, const std::string& conv, const std::string& bn,
                     int keras_unit) {
  const std::string prefix = "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
  const std::string keras = "conv" + std::to_string(stage + 1) + "_block" +
                            std::to_string(block + 1) + "_" + std::to_string(keras_unit);
  ConvBnSpec spec;
  spec.conv_name = prefix + conv;
  spec.bn_name = prefix + bn;
  spec.keras_conv_name = keras + "_conv";
  spec.keras_bn_name = keras + "_bn";
  spec.stage = stage;
  return spec;
}

}  // namespace

ResNet50::ResNet50(engine::LayerTable& table, const ResNet50Options& options) : options_(options) {
  ConvBnSpec stem{"conv1", "bn1", "conv1_conv",          "conv1_bn", 2, 3, 0,
                  0,       3,     options.stem_channels, 7,          2, 3};
  stem.conv_name = options.prefix + stem.conv_name;
  stem.bn_name = options.prefix + stem.bn_name;
  stem_.emplace_back(table, stem, options.batch_norm);
  int number = 1, keras_index = kKerasFirstBlock;
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < kBlocks[stage - 1]; ++block) {
      blocks_.push_back(make_block(table, stage, block, number++, keras_index));
      keras_index += block == 0 ? kKerasProjectionLayers : kKerasPlainLayers;
    }
  }
}

ResNet50::Bottleneck ResNet50::make_block(engine::LayerTable& table, int stage, int block,
                                          int number, int keras_index) const {
  const bool projects = block == 0;
  const int64_t width = options_.stem_channels << (stage - 1);
  const int64_t in = projects ? (stage == 1 ? options_.stem_channels : 2 * width) : 4 * width;
  const int64_t stride = projects && stage > 1 ? 2 : 1;
  const bool v1 = options_.variant == engine::Variant::kV1;
  const auto make = [&](ConvBnSpec spec, int64_t from, int64_t to, int64_t kernel, int64_t step) {
    spec.conv_name = options_.prefix + spec.conv_name;
    spec.bn_name = options_.prefix + spec.bn_name;
    spec.block = number;
    spec.in_channels = from;
    spec.out_channels = to;
    spec.kernel = kernel;
    spec.stride = step;
    spec.pad = kernel / 2;
    return ConvBn(table, spec, options_.batch_norm);
  };
  const auto placed = [&](ConvBnSpec spec, int conv, int bn) {
    spec.keras_conv_index = keras_index + conv;
    spec.keras_bn_index = keras_index + bn;
    return spec;
  };
  Bottleneck result;
  result.units.push_back(make(placed(unit_spec(stage, block, "conv1", "bn1", 1), 0, 1), in, width,
                              1, v1 ? stride : 1));
  result.units.push_back(make(placed(unit_spec(stage, block, "conv2", "bn2", 2), 3, 4), width,
                              width, 3, v1 ? 1 : stride));
  const ConvBnSpec third =
      placed(unit_spec(stage, block, "conv3", "bn3", 3), projects ? 7 : 6, projects ? 9 : 7);
  result.units.push_back(make(third, width, 4 * width, 1, 1));
  if (projects) {
    const ConvBnSpec shortcut =
        placed(unit_spec(stage, block, "downsample.0", "downsample.1", 0), 6, 8);
    result.projection.push_back(make(shortcut, in, 4 * width, 1, stride));
  }
  return result;
}

Value ResNet50::append_block(engine::StepBuilder& b, const BuildOptions& options,
                             const Bottleneck& block, Value x) const {
  const Value a = block.units[0].append(b, options, {.x = x, .shortcut = {}, .relu = true});
  const Value c = block.units[1].append(b, options, {.x = a, .shortcut = {}, .relu = true});
  Value shortcut = x;
  // The projection's output has no ReLU of its own, so no backward reads it. The block's own input
  // is read again by the first convolution's backward.
  bool overwrite = !b.needs_gradient(a);
  if (!block.projection.empty()) {
    shortcut = block.projection[0].append(b, options, {.x = x});
    overwrite = true;
  }
  return block.units[2].append(
      b, options, {.x = c, .shortcut = shortcut, .relu = true, .overwrite_shortcut = overwrite});
}

std::array<Value, 4> ResNet50::append_stages(engine::StepBuilder& b, const BuildOptions& options,
                                             Value x) const {
  x = stem_[0].append(b, options, {.x = x, .shortcut = {}, .relu = true});
  x = append_max_pool(b, x, options_.pool);
  std::array<Value, 4> maps;
  auto block = blocks_.begin();
  for (size_t stage = 0; stage < maps.size(); ++stage) {
    for (int i = 0; i < kBlocks[stage]; ++i) x = append_block(b, options, *block++, x);
    maps[stage] = x;
  }
  return maps;
}

Value ResNet50::append(engine::StepBuilder& b, const BuildOptions& options, Value x) const {
  x = append_stages(b, options, x)[3];
  return append_to_f32(b, "avgpool", append_global_average_pool(b, x));
}

}  // namespace verace::layers
