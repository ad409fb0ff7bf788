// Guessing from names and shapes which network a file holds, for hints in messages.

#include <algorithm>
#include <array>
#include <charconv>

#include "kernels/format.h"
#include "weights/name_map.h"

namespace verace::weights {
namespace {

struct ForeignFamily {
  const char* start;  // how one of its names begins
  const char* hint;
};

constexpr ForeignFamily kForeignFamilies[] = {
    {"resnetv1",
     "Gluon's ResNet names ('resnetv1...') are not read: convert the file to "
     "torchvision's names"},
    {"gpu_0/",
     "Caffe2's ResNet names ('gpu_0/...') are not read: convert the file to torchvision's "
     "names"},
    {"body.stage1", "these look like RetinaFace's weights, a face detector"},
    {"features.", "'features...' names a VGG, DenseNet, MobileNet or EfficientNet"},
    {"conv_stem", "'conv_stem' names an EfficientNet or MobileNet"},
    {"patch_embed", "'patch_embed' names a vision transformer"},
    {"vit.", "'vit...' names a vision transformer"},
};

// The numbers S and B of "layerS.B.rest", or {0, 0}.
std::array<int, 2> stage_and_block(std::string_view name) {
  if (!name.starts_with("layer")) return {};
  int stage = 0, block = 0;
  const char* end = name.data() + name.size();
  const auto first = std::from_chars(name.data() + 5, end, stage);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return {};
  const auto second = std::from_chars(first.ptr + 1, end, block);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != '.') return {};
  return stage >= 1 && stage <= 4 && block >= 0 && block < 1000 ? std::array{stage, block + 1}
                                                                : std::array{0, 0};
}

std::string depth_hint(const std::array<int, 4>& blocks, bool bottleneck) {
  const char* name = nullptr;
  if (bottleneck && blocks == std::array{3, 4, 23, 3}) name = "ResNet-101";
  if (bottleneck && blocks == std::array{3, 8, 36, 3}) name = "ResNet-152";
  if (!bottleneck && blocks == std::array{2, 2, 2, 2}) name = "ResNet-18";
  if (!bottleneck && blocks == std::array{3, 4, 6, 3}) name = "ResNet-34";
  if (name != nullptr) {
    return text::format("looks like {}: {}{} blocks in layer3", name,
                        bottleneck ? "" : "two-convolution, ", blocks[2]);
  }
  if (blocks == std::array{3, 4, 6, 3}) return {};
  return text::format("has {} blocks per stage, ResNet-50 has 3, 4, 6, 3",
                      text::join(blocks, ", "));
}

// ResNeXt and wide networks have ResNet-50's names but other shapes in the first block.
std::string block_hint(const TensorView* first, const TensorView* second, const TensorView* third) {
  if (first == nullptr || second == nullptr || third == nullptr) return {};
  if (first->shape.size() != 4 || second->shape.size() != 4 || third->shape.size() != 4) return {};
  if (second->shape[1] != second->shape[0]) return "looks like a ResNeXt: grouped 3x3 convolutions";
  if (third->shape[0] != 4 * first->shape[0])
    return "looks like a wide ResNet: inner channels doubled";
  return {};
}

}  // namespace

std::string wrong_network_hint(const WeightFile& file) {
  std::array<int, 4> blocks{};
  for (const TensorView& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    for (const ForeignFamily& family : kForeignFamilies) {
      if (name.starts_with(family.start)) return family.hint;
    }
    const auto [stage, block] = stage_and_block(name);
    if (stage > 0) blocks[stage - 1] = std::max(blocks[stage - 1], block);
  }
  if (blocks == std::array<int, 4>{}) return {};
  const auto conv = [&](const char* name) {
    return file.find(text::format("layer1.0.conv{}.weight", name));
  };
  const std::string depth = depth_hint(blocks, conv("3") != nullptr);
  return depth.empty() ? block_hint(conv("1"), conv("2"), conv("3")) : depth;
}

}  // namespace verace::weights
