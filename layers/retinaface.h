// RetinaFace: a network that looks for faces and their landmarks at three scales; inference only.
//
// Deng et al. 2019, arXiv 1905.00641, as implemented by Pytorch_Retinaface (semantics.md C.1): a
// backbone, a feature pyramid (FPN), a context module per level (SSH), and 1x1 heads. Layer names
// are that implementation's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/layer_table.h"
#include "engine/step.h"
#include "layers/conv_bn.h"
#include "layers/mobilenet.h"
#include "layers/resnet50.h"

namespace verace::layers {

enum class FaceBackbone { kMobileNet, kResNet50 };

struct RetinaFaceOptions {
  FaceBackbone backbone = FaceBackbone::kMobileNet;
  int64_t stem_channels = 8;      // of the backbone; published: 8 (MobileNet-0.25), 64 (ResNet-50)
  int64_t feature_channels = 64;  // of pyramid and context, a multiple of 4; published: 64, 256
  // Of the leaky ReLUs, [0, 1): everywhere but in a ResNet-50 and behind a context module's parts,
  // where it is 0.
  float slope = 0.1f;
};

// What one plan gives. The maps of level l (strides 8, 16, 32) are [n, h_l, w_l, 32] with h_l =
// ceil(h / stride): for both anchors the scores of "no face" and "face" before the softmax (0..3),
// then for both the four numbers of the box (4..11), then for both the ten of the landmarks
// (12..31).
struct RetinaFaceStep {
  engine::Step step;
  engine::Value pictures;  // u8 [n, h, w, 3] RGB
  std::array<engine::Value, 3> maps;
};

class RetinaFace {
 public:
  static constexpr int kLevels = 3;
  static constexpr int64_t kAnchors = 2;
  static constexpr int64_t kScores = 2, kBoxNumbers = 4, kLandmarkNumbers = 10;  // per anchor
  static constexpr int64_t kNumbers = kAnchors * (kScores + kBoxNumbers + kLandmarkNumbers);

  explicit RetinaFace(const RetinaFaceOptions& options);

  const RetinaFaceOptions& options() const { return options_; }
  engine::LayerTable& table() { return table_; }
  const engine::LayerTable& table() const { return table_; }

  // For n pictures of h x w pixels, prepared: to be planned again when weights change. It refers to
  // this network, which must stay where it is.
  RetinaFaceStep plan(const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena, int64_t n,
                      int64_t h, int64_t w) const;

 private:
  // A context module (Najibi et al. 2017, arXiv 1708.03979): 3x3, 5x5 and 7x7 as chains of 3x3.
  struct Context {
    ConvBn conv3x3, conv5x5_1, conv5x5_2, conv7x7_2, conv7x7_3;
  };
  struct Head {
    engine::Layer *scores, *boxes, *landmarks;
  };
  ConvBn make_unit(const std::string& name, int64_t from, int64_t to, int64_t kernel);
  void add_pyramid();
  Context make_context(const std::string& name);
  engine::Layer& add_head(const std::string& name, int64_t outputs);
  engine::Value append_unit(engine::StepBuilder& b, const ConvBn& unit, engine::Value x,
                            float slope) const;
  std::array<engine::Value, 3> append_backbone(engine::StepBuilder& b, engine::Value x) const;
  std::array<engine::Value, 3> append_pyramid(engine::StepBuilder& b,
                                              const std::array<engine::Value, 3>& maps) const;
  engine::Value append_context(engine::StepBuilder& b, const Context& context,
                               engine::Value x) const;
  engine::Value append_head(engine::StepBuilder& b, int level, engine::Value x) const;

  RetinaFaceOptions options_;
  engine::LayerTable table_;
  std::unique_ptr<MobileNet> mobilenet_;
  std::unique_ptr<ResNet50> resnet_;
  std::vector<ConvBn> outputs_, merges_;  // of the pyramid: 3, 2
  std::vector<Context> contexts_;
  std::vector<Head> heads_;
};

}  // namespace verace::layers
