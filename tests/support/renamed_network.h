// A network with torchvision's names under the names of other libraries, by rules of our own.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::test {

// One tensor with its values, in the order that the names' library stores.
struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

enum class Spelling { kTorchvision, kHuggingFace, kKeras, kOldKeras };

// The layer "layer2.3.conv1" in another library's words, written out digit by digit so that it
// shares nothing with the tables that it checks.
inline std::string layer_in(Spelling spelling, const std::string& ours) {
  if (spelling == Spelling::kTorchvision) return ours;
  const bool hugging = spelling == Spelling::kHuggingFace, old = spelling == Spelling::kOldKeras;
  if (ours == "conv1")
    return hugging ? "resnet.embedder.embedder.convolution" : (old ? "conv1" : "conv1_conv");
  if (ours == "bn1")
    return hugging ? "resnet.embedder.embedder.normalization" : (old ? "bn_conv1" : "conv1_bn");
  if (!ours.starts_with("layer")) return ours;  // the head: its caller's choice
  const char stage = ours.at(5), block = ours.at(7);
  const std::string rest = ours.substr(9);  // conv1, bn3, downsample.0
  const bool shortcut = rest.starts_with("downsample");
  const bool convolution = rest.starts_with("conv") || rest == "downsample.0";
  const char which = shortcut ? '0' : rest.back();
  if (hugging) {
    std::string out = "resnet.encoder.stages.";
    out += static_cast<char>(stage - 1);
    out += std::string(".layers.") + block;
    out += shortcut ? ".shortcut" : std::string(".layer.") + static_cast<char>(which - 1);
    return out + (convolution ? ".convolution" : ".normalization");
  }
  const std::string number(1, static_cast<char>(stage + 1));
  if (old) {
    const std::string name =
        (convolution ? "res" : "bn") + number + static_cast<char>(block - '0' + 'a') + "_branch";
    return name + (shortcut ? "1" : std::string("2") + static_cast<char>(which - '1' + 'a'));
  }
  return "conv" + number + "_block" + static_cast<char>(block + 1) + "_" + which +
         (convolution ? "_conv" : "_bn");
}

inline bool is_keras(Spelling spelling) {
  return spelling == Spelling::kKeras || spelling == Spelling::kOldKeras;
}

// "weight" of a batch norm is Keras' gamma, of others its kernel.
inline std::string kind_in(Spelling spelling, const std::string& layer, const std::string& kind) {
  if (!is_keras(spelling)) return kind;
  const bool batch_norm = layer.find("bn") != std::string::npos || layer.ends_with("downsample.1");
  if (batch_norm) {
    const std::map<std::string, std::string> words{{"weight", "gamma"},
                                                   {"bias", "beta"},
                                                   {"running_mean", "moving_mean"},
                                                   {"running_var", "moving_variance"}};
    return words.at(kind);
  }
  return kind == "weight" ? "kernel" : kind;
}

// [o, i, h, w] -> [h, w, i, o], [o, i] -> [i, o]; vectors as they are.
inline NamedTensor channels_last(const NamedTensor& tensor) {
  const std::vector<int64_t>& s = tensor.shape;
  if (s.size() != 4 && s.size() != 2) return tensor;
  const int64_t o = s[0], i = s[1], area = s.size() == 4 ? s[2] * s[3] : 1;
  NamedTensor out = tensor;
  out.shape = s.size() == 4 ? std::vector<int64_t>{s[2], s[3], i, o} : std::vector<int64_t>{i, o};
  for (int64_t io = 0; io < o; ++io)
    for (int64_t ii = 0; ii < i; ++ii)
      for (int64_t p = 0; p < area; ++p)
        out.values[static_cast<size_t>((p * i + ii) * o + io)] =
            tensor.values[static_cast<size_t>((io * i + ii) * area + p)];
  return out;
}

// The tensors that `file` has behind `prefix`, in another spelling. `head`: "fc.0" -> "dense" or
// what the head's layers shall be called; a layer without an entry keeps its name.
inline std::vector<NamedTensor> renamed(const weights::WeightFile& file, const std::string& prefix,
                                        Spelling spelling, const std::string& wrapper = "",
                                        const std::map<std::string, std::string>& head = {}) {
  std::vector<NamedTensor> out;
  for (const weights::TensorView& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix)) continue;
    const std::string ours = tensor.name.substr(prefix.size());
    const size_t dot = ours.rfind('.');
    REQUIRE(dot != std::string::npos);
    const std::string layer = ours.substr(0, dot), kind = ours.substr(dot + 1);
    const auto own = head.find(layer);
    const std::string name = own != head.end() ? own->second : layer_in(spelling, layer);
    NamedTensor stored{
        wrapper + name + (is_keras(spelling) ? "/" : ".") + kind_in(spelling, layer, kind),
        tensor.shape, file.read_f32(tensor.name)};
    out.push_back(is_keras(spelling) ? channels_last(stored) : stored);
  }
  return out;
}

inline void write_named(const std::string& path, const std::vector<NamedTensor>& tensors,
                        const std::map<std::string, std::string>& metadata = {}) {
  std::vector<weights::TensorToWrite> list;
  for (const NamedTensor& tensor : tensors)
    list.emplace_back(tensor.name, tensor.shape, tensor.values);
  weights::write_safetensors(path, list, metadata);
}

}  // namespace verace::test
