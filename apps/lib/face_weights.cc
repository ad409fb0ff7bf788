// Reading a RetinaFace.
#include "apps/lib/face_weights.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/lib/file_hash.h"
#include "apps/lib/model_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/name_map.h"
#include "weights/weight_file.h"

namespace verace::apps {
namespace {

using layers::FaceBackbone;
using layers::RetinaFaceOptions;
using weights::TensorView;
using weights::WeightFile;

// What the tensors do not say. Two of them are from before the implementation had leaky ReLUs
// (semantics.md C.1).
struct Published {
  std::string_view sha256;
  double slope;
  AnchorSizes anchors;
};
constexpr Published kPublished[] = {
    {"78b0533ceea681a290e98efca85e3a2815b22310f1fe7e287788e7f55f0743a9", 0.0, kUsualAnchors},
    {"ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1",
     0.0,
     {{{10, 20}, {32, 64}, {128, 256}}}},
    {"7c417d4a43c5e2100ef40c2fbd2177d2fd0e5090d8e87c0fa31806cfb895c12f", 0.1, kUsualAnchors},
};

// nullptr: unknown, or it cannot be found out.
const Published* find_known(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  std::string digest;
  try {
    digest = hash_of(file, HashKind::kSha256, path);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;  // no program for it: then it is assumed, and said
  }
  ::close(file);
  const auto* found = std::ranges::find(kPublished, digest, &Published::sha256);
  return found == std::end(kPublished) ? nullptr : found;
}

constexpr std::string_view kMark = "fpn.output1.0.weight";

// What stands before all names ("module."): before the one that tells a RetinaFace.
std::string prefix_of(const WeightFile& file) {
  for (const TensorView& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (!name.ends_with(kMark)) continue;
    const std::string_view prefix = name.substr(0, name.size() - kMark.size());
    if (prefix.empty() || prefix.ends_with('.')) return std::string(prefix);
  }
  std::string hint = weights::wrong_network_hint(file);
  if (!hint.empty()) hint = " (" + hint + ")";
  fail_input(text::format(
      "{}: holds no RetinaFace: there is no tensor '{}'{}: give a face detector's weights "
      "(verace weights fetch retinaface-mobilenet025)",
      file.path(), kMark, hint));
}

// The outputs of a convolution that must be there.
int64_t outputs_of(const WeightFile& file, const std::string& name) {
  const TensorView& tensor = file.at(name);
  if (tensor.shape.size() != 4 || tensor.shape[0] < 1 || tensor.shape[0] > 4096) {
    fail_input(text::format("{}: tensor '{}' has shape {}: a RetinaFace has a convolution there",
                            file.path(), name, weights::shape_text(tensor.shape)));
  }
  return tensor.shape[0];
}

RetinaFaceOptions network_in(const WeightFile& file, const std::string& prefix) {
  RetinaFaceOptions options;
  std::string stem = prefix + "body.stage1.0.0.weight";
  if (file.find(prefix + "body.conv1.weight") != nullptr) {
    options.backbone = FaceBackbone::kResNet50;
    stem = prefix + "body.conv1.weight";
  } else if (file.find(stem) == nullptr) {
    fail_input(text::format(
        "{}: a face detector whose backbone is neither MobileNet ('body.stage1...') nor ResNet-50 "
        "('body.conv1...'): such networks are not read; choose another file",
        file.path()));
  }
  options.stem_channels = outputs_of(file, stem);
  options.feature_channels = outputs_of(file, prefix + std::string(kMark));
  if (options.feature_channels % 4 != 0) {
    fail_input(
        text::format("{}: its pyramid has {} channels, not a multiple of 4: not a "
                     "RetinaFace",
                     file.path(), options.feature_channels));
  }
  return options;
}

std::vector<int64_t> stored_shape(const engine::Shape& s) {
  if (s.size() != 4) return {s.begin(), s.end()};
  return {s[0], s[3], s[1], s[2]};
}

void read_parameters(const WeightFile& file, const std::string& prefix,
                     const engine::LayerTable& table) {
  for (const engine::Parameter* parameter : table.parameters()) {
    const std::string name = prefix + parameter->name;
    const TensorView* tensor = file.find(name);
    if (tensor == nullptr) {
      fail_input(
          text::format("{}: tensor '{}' is missing: the file is incomplete, or of another "
                       "face detector than RetinaFace",
                       file.path(), name));
    }
    const std::vector<int64_t> wanted = stored_shape(parameter->value.shape());
    if (tensor->shape != wanted) {
      fail_input(text::format(
          "{}: tensor '{}' has shape {}, a RetinaFace of these widths has {}: "
          "choose another file",
          file.path(), name, weights::shape_text(tensor->shape), weights::shape_text(wanted)));
    }
    read_stored_tensor(file, name, parameter->value);
  }
}

std::string slope_text(double slope) {
  return slope == 0 ? "ReLU" : text::format("leaky ReLU {:g}", slope);
}

std::string backbone_text(const RetinaFaceOptions& options) {
  const bool mobile = options.backbone == FaceBackbone::kMobileNet;
  const double width = static_cast<double>(options.stem_channels) / (mobile ? 32 : 64);
  if (mobile) return text::format("MobileNet-{:g}", width);
  return width == 1 ? "ResNet-50" : text::format("ResNet-50, width {:g}", width);
}

}  // namespace

LoadedFaceNetwork load_face_network(const std::filesystem::path& path,
                                    std::optional<double> slope) {
  if (slope && !(*slope >= 0 && *slope < 1)) {
    fail_input(text::format("{}: a slope of {:g} is asked for: use one from 0 to below 1",
                            path.string(), *slope));
  }
  const WeightFile file(path.string());
  const std::string prefix = prefix_of(file);
  RetinaFaceOptions options = network_in(file, prefix);
  const Published* published = find_known(path.string());
  const double assumed = options.feature_channels <= 64 ? 0.1 : 0.0;
  const double used = slope ? *slope : (published ? published->slope : assumed);
  options.slope = static_cast<float>(used);
  LoadedFaceNetwork loaded;
  loaded.network = std::make_unique<layers::RetinaFace>(options);
  read_parameters(file, prefix, loaded.network->table());
  loaded.anchors = published ? published->anchors : kUsualAnchors;
  const char* source = slope ? "as asked for" : (published ? "published so" : "assumed");
  loaded.description = text::format("RetinaFace ({}), {} ({}), anchors from {:g} pixels ({})",
                                    backbone_text(options), slope_text(used), source,
                                    loaded.anchors[0][0], published ? "published so" : "assumed");
  return loaded;
}

}  // namespace verace::apps
