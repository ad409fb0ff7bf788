// The tables of the families, and their expansion.
//
// Sources: torchvision/models/resnet.py; transformers/models/resnet/modeling_resnet.py;
// keras-applications resnet_common.py (new generation) and resnet50.py (old).
#include "weights/name_families.h"

#include <algorithm>
#include <array>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/head_names.h"

namespace verace::weights {
namespace {

using engine::InputScale;
using engine::PoolMode;
using engine::RunningVariance;
using engine::Variant;

// A layer's name as the file has it and as torchvision has it. {s0} {s1} {s2}: the stage, counted
// from 0, 1 or 2. {b0} {b1} {ba}: the block within it, from 0, from 1, or as a letter from 'a'.
// {k0} {k1} {ka}: the convolution within the block, alike.
struct LayerRow {
  const char* stored;
  const char* ours;
};

// A tensor's name within its layer.
struct KindRow {
  const char* stored;
  const char* ours;
};

constexpr LayerRow kTorchvisionLayers[] = {
    {"conv1", "conv1"},
    {"bn1", "bn1"},
    {"layer{s1}.{b0}.conv{k1}", "layer{s1}.{b0}.conv{k1}"},
    {"layer{s1}.{b0}.bn{k1}", "layer{s1}.{b0}.bn{k1}"},
    {"layer{s1}.0.downsample.0", "layer{s1}.0.downsample.0"},
    {"layer{s1}.0.downsample.1", "layer{s1}.0.downsample.1"},
    {"fc", "fc"},
    {"fc.0", "fc.0"},
    {"fc.2", "fc.2"},
};
constexpr LayerRow kHuggingFaceLayers[] = {
    {"embedder.embedder.convolution", "conv1"},
    {"embedder.embedder.normalization", "bn1"},
    {"encoder.stages.{s0}.layers.{b0}.layer.{k0}.convolution", "layer{s1}.{b0}.conv{k1}"},
    {"encoder.stages.{s0}.layers.{b0}.layer.{k0}.normalization", "layer{s1}.{b0}.bn{k1}"},
    {"encoder.stages.{s0}.layers.0.shortcut.convolution", "layer{s1}.0.downsample.0"},
    {"encoder.stages.{s0}.layers.0.shortcut.normalization", "layer{s1}.0.downsample.1"},
    {"classifier.1", "fc"},
};
constexpr LayerRow kKerasLayers[] = {
    {"conv1_conv", "conv1"},
    {"conv1_bn", "bn1"},
    {"conv{s2}_block{b1}_{k1}_conv", "layer{s1}.{b0}.conv{k1}"},
    {"conv{s2}_block{b1}_{k1}_bn", "layer{s1}.{b0}.bn{k1}"},
    {"conv{s2}_block1_0_conv", "layer{s1}.0.downsample.0"},
    {"conv{s2}_block1_0_bn", "layer{s1}.0.downsample.1"},
    {"predictions", "fc"},
    {"probs", "fc"},
};
constexpr LayerRow kOldKerasLayers[] = {
    {"conv1", "conv1"},
    {"bn_conv1", "bn1"},
    {"res{s2}{ba}_branch2{ka}", "layer{s1}.{b0}.conv{k1}"},
    {"bn{s2}{ba}_branch2{ka}", "layer{s1}.{b0}.bn{k1}"},
    {"res{s2}a_branch1", "layer{s1}.0.downsample.0"},
    {"bn{s2}a_branch1", "layer{s1}.0.downsample.1"},
    {"fc1000", "fc"},
};

constexpr KindRow kTorchKinds[] = {{"weight", "weight"},
                                   {"bias", "bias"},
                                   {"running_mean", "running_mean"},
                                   {"running_var", "running_var"},
                                   {"num_batches_tracked", "num_batches_tracked"}};
constexpr KindRow kKerasKinds[] = {{"kernel", "weight"},
                                   {"bias", "bias"},
                                   {"gamma", "weight"},
                                   {"beta", "bias"},
                                   {"moving_mean", "running_mean"},
                                   {"moving_variance", "running_var"}};

// Where our axes lie in a stored kernel: [h, w, in, out] and [in, out].
constexpr size_t kFilterAxes[] = {3, 2, 0, 1};
constexpr size_t kDenseAxes[] = {1, 0};

struct FamilyRow {
  NameFamily family;
  const char* text;
  char separator;  // between layer and kind
  std::span<const LayerRow> layers;
  std::span<const KindRow> kinds;
  bool channels_last;  // kernels are to be permuted
  FamilyDefaults defaults;
};

// Running variance of Keras: TensorFlow's fused kernel, as in tf.keras 2; input: the preprocessing
// that comes with the published weights; epsilon: the layers' own argument in the new generation,
// Keras' default in the old. The first row also stands for unknown names.
constexpr FamilyRow kFamilies[] = {
    {NameFamily::kTorchvision,
     "torchvision",
     '.',
     kTorchvisionLayers,
     kTorchKinds,
     false,
     {Variant::kV15, PoolMode::kPadded, 1e-5, 0.1, RunningVariance::kUnbiased, InputScale::kTorch,
      "torchvision's convention"}},
    {NameFamily::kHuggingFace,
     "Hugging Face",
     '.',
     kHuggingFaceLayers,
     kTorchKinds,
     false,
     {Variant::kV15, PoolMode::kPadded, 1e-5, 0.1, RunningVariance::kUnbiased, InputScale::kTorch,
      "the convention of microsoft/resnet-50"}},
    {NameFamily::kKeras,
     "Keras",
     '/',
     kKerasLayers,
     kKerasKinds,
     true,
     {Variant::kV1, PoolMode::kPadded, 1.001e-5, 0.01, RunningVariance::kUnbiased,
      InputScale::kCaffe, "the convention of keras.applications"}},
    {NameFamily::kOldKeras,
     "old Keras",
     '/',
     kOldKerasLayers,
     kKerasKinds,
     true,
     {Variant::kV1, PoolMode::kPadded, 1e-3, 0.01, RunningVariance::kUnbiased, InputScale::kCaffe,
      "the convention of Keras' old resnet50.py"}},
};

constexpr std::string_view kWrapperPrefixes[] = {
    "module", "model", "backbone", "resnet", "resnet50", "net", "network", "encoder", "_orig_mod"};

// More blocks than a ResNet-50 has, so that a deeper network is recognised as such.
constexpr int kStages = 4, kMostBlocks = 50, kConvolutions = 3;

const FamilyRow& row_of(NameFamily family) {
  for (const FamilyRow& row : kFamilies) {
    if (row.family == family) return row;
  }
  return kFamilies[0];
}

// Replaces one placeholder; false where a letter has run out.
bool fill(std::string& text, const char* what, int number) {
  for (const char base : {'0', '1', '2', 'a'}) {
    const std::string place = text::format("{{{}{}}}", what, base);
    const size_t at = text.find(place);
    if (at == std::string::npos) continue;
    if (base == 'a' && number >= 26) return false;
    const std::string value = base == 'a' ? std::string(1, static_cast<char>('a' + number))
                                          : std::to_string(number + (base - '0'));
    text.replace(at, place.size(), value);
  }
  return true;
}

using LayerNames = std::unordered_map<std::string, std::string>;  // stored -> ours

void expand_row(const LayerRow& row, LayerNames& out) {
  for (int s = 0; s < kStages; ++s) {
    for (int b = 0; b < kMostBlocks; ++b) {
      for (int k = 0; k < kConvolutions; ++k) {
        std::string stored = row.stored, ours = row.ours;
        bool good = true;
        for (std::string* text : {&stored, &ours})
          good = good && fill(*text, "s", s) && fill(*text, "b", b) && fill(*text, "k", k);
        if (good) out.emplace(std::move(stored), std::move(ours));
        if (std::string_view(row.stored).find("{k") == std::string_view::npos) break;
      }
      if (std::string_view(row.stored).find("{b") == std::string_view::npos) break;
    }
    if (std::string_view(row.stored).find("{s") == std::string_view::npos) break;
  }
}

// Made once per family and program.
const LayerNames& layers_of(const FamilyRow& family) {
  static const auto all = [] {
    std::array<LayerNames, std::size(kFamilies)> maps;
    for (size_t i = 0; i < maps.size(); ++i)
      for (const LayerRow& row : kFamilies[i].layers) expand_row(row, maps[i]);
    return maps;
  }();
  return all[static_cast<size_t>(&family - kFamilies)];
}

// Whether `prefix` is a sequence of wrappers, each with a separator behind it; also nothing.
bool is_wrapper(std::string_view prefix) {
  while (!prefix.empty()) {
    const size_t end = prefix.find_first_of("./");
    if (end == std::string_view::npos) return false;
    if (std::ranges::find(kWrapperPrefixes, prefix.substr(0, end)) == std::end(kWrapperPrefixes))
      return false;
    prefix.remove_prefix(end + 1);
  }
  return true;
}

// How the family writes the weight of a layer of ours.
std::string stored_weight(const FamilyRow& family, std::string_view ours) {
  for (const auto& [stored, name] : layers_of(family)) {
    if (name == ours) return stored + family.separator + family.kinds[0].stored;
  }
  fail_check("the family has the layer", __FILE__, __LINE__, std::string(ours));
}

// The first block tells the families apart; the stem alone is enough for a message about what else
// is missing.
bool find_family(const TensorTable& table, const FamilyRow*& family, std::string& prefix) {
  for (const char* anchor : {"layer1.0.conv1", "conv1"}) {
    bool found = false;
    for (const FamilyRow& row : kFamilies) {
      const std::string wanted = stored_weight(row, anchor);
      for (const TensorView& tensor : table.tensors) {
        if (!tensor.name.ends_with(wanted)) continue;
        const std::string before = tensor.name.substr(0, tensor.name.size() - wanted.size());
        if (!is_wrapper(before) || (found && before.size() >= prefix.size())) continue;
        found = true;
        family = &row;
        prefix = before;
      }
    }
    if (found) return true;
  }
  return false;
}

// Turns axes as the kernel's rank wants it; anything else stays and will not fit.
void permute(TensorView& tensor) {
  const size_t rank = tensor.shape.size();
  const std::span<const size_t> axes =
      rank == 4 ? std::span<const size_t>(kFilterAxes)
                : (rank == 2 ? std::span<const size_t>(kDenseAxes) : std::span<const size_t>());
  if (axes.empty() || tensor.element_count() == 0) return;
  std::vector<int64_t> strides = tensor.strides;
  if (strides.empty()) strides = row_major_strides(tensor.shape);
  std::vector<int64_t> shape;
  tensor.strides.clear();
  for (const size_t axis : axes) {
    shape.push_back(tensor.shape[axis]);
    tensor.strides.push_back(strides[axis]);
  }
  tensor.shape = std::move(shape);
}

// "layer" and "kind" of a name; the layer is empty where there is no separator.
std::pair<std::string, std::string> split(const std::string& name, char separator) {
  const size_t at = name.rfind(separator);
  if (at == std::string::npos) return {"", name};
  return {name.substr(0, at), name.substr(at + 1)};
}

void rename(TensorView& tensor, std::string name) {
  if (tensor.name == name) return;
  if (tensor.stored_name.empty()) tensor.stored_name = std::move(tensor.name);
  tensor.name = std::move(name);
}

const KindRow* kind_of(const FamilyRow& family, const std::string& stored) {
  const auto found = std::ranges::find_if(
      family.kinds, [&stored](const KindRow& row) { return stored == row.stored; });
  return found == family.kinds.end() ? nullptr : &*found;
}

// The layer's name without the wrapper; heads often stand outside of it.
std::string without(const std::string& layer, const std::string& prefix) {
  return layer.starts_with(prefix) ? layer.substr(prefix.size()) : layer;
}

void check_unique(const TensorTable& table, const std::string& path) {
  std::unordered_map<std::string_view, const TensorView*> seen;
  for (const TensorView& tensor : table.tensors) {
    const auto [entry, is_new] = seen.emplace(tensor.name, &tensor);
    if (is_new) continue;
    fail_input(text::format("{}: {} and {} are both the tensor {}: keep one network in the file",
                            path, in_quotes(entry->second->name_in_file()),
                            in_quotes(tensor.name_in_file()), in_quotes(tensor.name)));
  }
}

}  // namespace

std::string_view to_string(NameFamily family) {
  return family == NameFamily::kUnknown ? "unknown" : row_of(family).text;
}

Naming translate_names(TensorTable& table, const std::string& path) {
  const FamilyRow* family = nullptr;
  std::string prefix;
  if (!find_family(table, family, prefix)) return {};
  const LayerNames& layers = layers_of(*family);
  std::vector<DenseTensor> others;  // candidates for the head
  for (TensorView& tensor : table.tensors) {
    const auto [stored_layer, stored_kind] = split(tensor.name, family->separator);
    const KindRow* kind = kind_of(*family, stored_kind);
    if (kind == nullptr) continue;
    const auto layer = layers.find(without(stored_layer, prefix));
    if (family->channels_last && stored_kind == family->kinds[0].stored) permute(tensor);
    if (layer != layers.end()) {
      rename(tensor, layer->second + "." + kind->ours);
    } else {
      others.push_back({&tensor, stored_layer, kind->ours});
    }
  }
  for (const auto& [tensor, name] : find_head(table, others)) rename(*tensor, name);
  check_unique(table, path);
  return {family->family, prefix};
}

std::string our_layer_name(NameFamily family, const std::string& stored) {
  if (family == NameFamily::kUnknown) return {};
  const LayerNames& layers = layers_of(row_of(family));
  const auto found = layers.find(stored);
  return found == layers.end() ? "" : found->second;
}

const FamilyDefaults& defaults_of(NameFamily family) { return row_of(family).defaults; }

}  // namespace verace::weights
