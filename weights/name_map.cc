// The table of stages, what it expands to, and the comparison with a file.
#include "weights/name_map.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::weights {
namespace {

constexpr int64_t kBlocksOfStage[] = {3, 4, 6, 3};  // per stage
constexpr int64_t kExpansion = 4;                   // a block's output over its inner channels

// Appends layer after layer.
class Collector {
 public:
  explicit Collector(bool conv_biases) : conv_biases_(conv_biases) {}

  void conv(const std::string& name, int64_t out, int64_t in, int64_t size) {
    add(name + ".weight", {out, in, size, size}, TensorRole::kConvWeight);
    if (conv_biases_) add(name + ".bias", {out}, TensorRole::kConvBias, true);
  }

  void batch_norm(const std::string& name, int64_t channels) {
    add(name + ".weight", {channels}, TensorRole::kBnGamma);
    add(name + ".bias", {channels}, TensorRole::kBnBeta);
    add(name + ".running_mean", {channels}, TensorRole::kBnMean);
    add(name + ".running_var", {channels}, TensorRole::kBnVariance);
  }

  void dense(const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in}, TensorRole::kDenseWeight);
    add(name + ".bias", {out}, TensorRole::kDenseBias);
  }

  std::vector<ExpectedTensor> take() { return std::move(list_); }

 private:
  void add(std::string name, std::vector<int64_t> shape, TensorRole role, bool optional = false) {
    list_.push_back({std::move(name), std::move(shape), role, optional});
  }

  bool conv_biases_;
  std::vector<ExpectedTensor> list_;
};

// The counters of PyTorch's batch norms, and the optimiser's state in a checkpoint of our own.
bool ignored(std::string_view name) {
  return name.ends_with(".num_batches_tracked") || name.starts_with("optimizer.");
}

// Counts complaints of one kind and remembers the first.
struct Complaint {
  const char* kind;
  int64_t count = 0;
  std::string first = {};

  void add(const std::string& text) {
    if (count++ == 0) first = text;
  }
  std::string text() const {
    if (count == 0) return {};
    return text::format("{} {} ({}{})", count, kind, count > 1 ? "first: " : "", first);
  }
};

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelDescription& description) {
  Collector list(description.conv_bias_present);
  const auto base = static_cast<int64_t>(std::llround(64 * description.width));
  list.conv("conv1", description.stem_channels, 3, 7);
  list.batch_norm("bn1", description.stem_channels);
  int64_t channels = description.stem_channels;
  for (int64_t stage = 0; stage < 4; ++stage) {
    const int64_t inner = base << stage;
    const int64_t outer = inner * kExpansion;
    for (int64_t block = 0; block < kBlocksOfStage[stage]; ++block) {
      const std::string name = text::format("layer{}.{}", stage + 1, block);
      list.conv(name + ".conv1", inner, channels, 1);
      list.batch_norm(name + ".bn1", inner);
      list.conv(name + ".conv2", inner, inner, 3);
      list.batch_norm(name + ".bn2", inner);
      list.conv(name + ".conv3", outer, inner, 1);
      list.batch_norm(name + ".bn3", outer);
      if (block == 0) {
        list.conv(name + ".downsample.0", outer, channels, 1);
        list.batch_norm(name + ".downsample.1", outer);
      }
      channels = outer;
    }
  }
  if (description.head_hidden > 0) {
    list.dense("fc.0", description.head_hidden, channels);
    list.dense("fc.2", description.classes, description.head_hidden);
  } else if (description.classes > 0) {
    list.dense("fc", description.classes, channels);
  }
  return list.take();
}

std::string find_mismatch(const WeightFile& file, const ModelDescription& description) {
  Complaint missing{"missing"}, unexpected{"not expected"}, shape{"of wrong shape"},
      dtype{"of wrong dtype"};
  std::unordered_set<std::string> known;
  for (const ExpectedTensor& expected : expected_tensors(description)) {
    const std::string& name = expected.name;
    known.insert(name);
    const TensorView* tensor = file.find(name);
    if (tensor == nullptr) {
      if (!expected.optional) missing.add(in_quotes(name));
    } else if (tensor->shape != expected.shape) {
      shape.add(text::format("{} is {}, expected {}", in_quotes(tensor->name_in_file()),
                             shape_text(tensor->shape), shape_text(expected.shape)));
    } else if (!is_exact_in_f32(tensor->dtype)) {
      dtype.add(text::format("{} is {}, expected F32, F16 or BF16",
                             in_quotes(tensor->name_in_file()), to_string(tensor->dtype)));
    }
  }
  for (const TensorView& tensor : file.tensors()) {
    if (!known.contains(tensor.name) && !ignored(tensor.name))
      unexpected.add(in_quotes(tensor.name_in_file()));
  }
  std::string out;
  for (const Complaint& complaint : {missing, unexpected, shape, dtype}) {
    if (complaint.count > 0) out += (out.empty() ? "" : ", ") + complaint.text();
  }
  if (out.empty()) return {};
  const std::string hint = wrong_network_hint(file);
  return "does not fit ResNet-50: tensors " + out + (hint.empty() ? "" : "; " + hint);
}

void check_against(const WeightFile& file, const ModelDescription& description) {
  const std::string mismatch = find_mismatch(file, description);
  if (!mismatch.empty()) fail_input(file.path() + ": " + mismatch + ": choose a ResNet-50 file");
}

bool is_conv_bias_name(std::string_view name) {
  if (!name.ends_with(".bias")) return false;
  std::string_view layer = name;
  if (layer.size() < 5) return false;
  layer.remove_suffix(5);
  if (layer == "conv1") return true;
  if (!layer.starts_with("layer")) return false;
  return layer.ends_with(".conv1") || layer.ends_with(".conv2") || layer.ends_with(".conv3") ||
         layer.ends_with(".downsample.0");
}

std::string batch_norm_behind(const std::string& convolution) {
  constexpr std::string_view kShortcut = "downsample.0";
  if (convolution.ends_with(kShortcut)) {
    return convolution.substr(0, convolution.size() - 1) + "1";
  }
  const size_t at = convolution.rfind("conv");
  VERACE_CHECK(at != std::string::npos, convolution);
  return convolution.substr(0, at) + "bn" + convolution.substr(at + 4);
}

bool subtract_convolution_bias(const WeightFile& file, const std::string& mean_name,
                               std::span<float> mean) {
  constexpr std::string_view kMean = ".running_mean";
  VERACE_CHECK(mean_name.ends_with(kMean), mean_name);
  std::string layer = mean_name.substr(0, mean_name.size() - kMean.size());
  const size_t number = layer.rfind("bn");
  if (number != std::string::npos) {
    layer.replace(number, 2, "conv");
  } else {
    layer.back() = '0';  // downsample.1
  }
  VERACE_CHECK(batch_norm_behind(layer) + std::string(kMean) == mean_name, mean_name);
  const std::string bias = layer + ".bias";
  if (file.find(bias) == nullptr) return false;
  const std::vector<float> values = file.read_f32(bias);
  VERACE_CHECK(values.size() == mean.size(), bias);
  for (size_t i = 0; i < mean.size(); ++i) mean[i] -= values[i];
  return true;
}

void ohwi_to_oihw(std::span<const float> source, std::span<const int64_t> shape,
                  std::span<float> target) {
  VERACE_CHECK(shape.size() == 4);
  const int64_t in = shape[1], area = shape[2] * shape[3], filter = in * area;
  VERACE_CHECK(static_cast<int64_t>(source.size()) == shape[0] * filter &&
               source.size() == target.size());
  for (int64_t o = 0; o < shape[0]; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t p = 0; p < area; ++p)
        target[o * filter + i * area + p] = source[o * filter + p * in + i];
    }
  }
}

}  // namespace verace::weights
