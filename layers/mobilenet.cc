// Names and widths of MobileNet's layers.
#include "layers/mobilenet.h"

#include <utility>

namespace verace::layers {

using engine::Value;

namespace {

// A pair: where it lies in the stages, its output channels in stems, its stride.
struct Row {
  int stage, position;
  int64_t width, stride;
};
constexpr Row kRows[] = {{1, 1, 2, 1},  {1, 2, 4, 2},  {1, 3, 4, 1},  {1, 4, 8, 2},  {1, 5, 8, 1},
                         {2, 0, 16, 2}, {2, 1, 16, 1}, {2, 2, 16, 1}, {2, 3, 16, 1}, {2, 4, 16, 1},
                         {2, 5, 16, 1}, {3, 0, 32, 2}, {3, 1, 32, 1}};

std::string name_of(int stage, int position, int part) {
  return "body.stage" + std::to_string(stage) + "." + std::to_string(position) + "." +
         std::to_string(part);
}

ConvBnSpec spec_of(const std::string& conv, const std::string& bn, int64_t from, int64_t to) {
  ConvBnSpec spec;
  spec.conv_name = conv;
  spec.bn_name = bn;
  spec.in_channels = from;
  spec.out_channels = to;
  return spec;
}

}  // namespace

MobileNet::MobileNet(engine::LayerTable& table, const MobileNetOptions& options)
    : options_(options) {
  ConvBnSpec stem = spec_of(name_of(1, 0, 0), name_of(1, 0, 1), 3, options.stem_channels);
  stem.kernel = 3, stem.stride = 2, stem.pad = 1;
  stem_.emplace_back(table, stem, options.batch_norm);
  int64_t from = options.stem_channels;
  for (size_t i = 0; i < std::size(kRows); ++i) {
    const Row& row = kRows[i];
    const int64_t to = row.width * options.stem_channels;
    const auto name = [&](int part) { return name_of(row.stage, row.position, part); };
    DepthwiseBn depthwise(table, {name(0), name(1), from, row.stride}, options.batch_norm);
    ConvBn pointwise(table, spec_of(name(3), name(4), from, to), options.batch_norm);
    const bool last = i + 1 == std::size(kRows) || kRows[i + 1].stage != row.stage;
    pairs_.push_back({std::move(depthwise), std::move(pointwise), last});
    from = to;
  }
}

std::array<Value, 3> MobileNet::append(engine::StepBuilder& b, Value x) const {
  const float slope = options_.slope;
  const auto inputs = [&](Value from) {
    return ConvBnInputs{.x = from, .shortcut = {}, .relu = true, .slope = slope};
  };
  x = stem_[0].append(b, {}, inputs(x));
  std::array<Value, 3> maps;
  size_t stage = 0;
  for (const Pair& pair : pairs_) {
    x = pair.pointwise.append(b, {}, inputs(pair.depthwise.append(b, x, slope)));
    if (pair.ends_stage) maps[stage++] = x;
  }
  return maps;
}

}  // namespace verace::layers
