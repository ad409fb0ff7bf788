// Norms of differences, tensor by tensor.
#include "weights/diff.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/name_map.h"

namespace verace::weights {
namespace {

class Sums {
 public:
  void add(std::span<const float> a, std::span<const float> b) {
    VERACE_CHECK(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) add(a[i], b[i]);
  }

  void write(LayerChange& out) const {
    constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
    out.values = values_;
    out.not_finite = not_finite_;
    out.unchanged = same_ == values_;
    out.largest = largest_;
    const double before = std::sqrt(a_), after = std::sqrt(b_), change = std::sqrt(difference_);
    out.relative = change == 0 ? 0 : (before > 0 ? change / before : kUndefined);
    out.cosine =
        before > 0 && after > 0 ? std::clamp(product_ / (before * after), -1.0, 1.0) : kUndefined;
  }

 private:
  void add(double a, double b) {
    ++values_;
    same_ += a == b;
    if (!std::isfinite(a) || !std::isfinite(b)) {
      ++not_finite_;
      return;
    }
    a_ += a * a;
    b_ += b * b;
    product_ += a * b;
    difference_ += (b - a) * (b - a);
    largest_ = std::max(largest_, std::abs(b - a));
  }

  int64_t values_ = 0, same_ = 0, not_finite_ = 0;
  double a_ = 0, b_ = 0, product_ = 0, difference_ = 0, largest_ = 0;
};

const char* part_of(TensorRole role) {
  switch (role) {
    case TensorRole::kBnGamma:
    case TensorRole::kBnBeta:
      return "gamma, beta";
    case TensorRole::kBnMean:
    case TensorRole::kBnVariance:
      return "statistics";
    default:
      return "weights";
  }
}

std::vector<float> read(const WeightFile& file, const ExpectedTensor& tensor) {
  std::vector<float> values = file.read_f32(tensor.name);
  if (tensor.role == TensorRole::kBnMean) subtract_convolution_bias(file, tensor.name, values);
  return values;
}

// "layer1.0.bn1" of "layer1.0.bn1.weight".
std::string layer_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

bool is_head(const ExpectedTensor& tensor) {
  return tensor.role == TensorRole::kDenseWeight || tensor.role == TensorRole::kDenseBias;
}

std::string shapes_text(const std::vector<ExpectedTensor>& tensors) {
  std::string out;
  for (const ExpectedTensor& tensor : tensors) {
    if (tensor.role == TensorRole::kDenseWeight)
      out += (out.empty() ? "" : ", ") + shape_text(tensor.shape);
  }
  return out.empty() ? "none" : out;
}

std::vector<ExpectedTensor> head_of(const ModelDescription& network) {
  std::vector<ExpectedTensor> tensors = expected_tensors(network);
  std::erase_if(tensors, [](const ExpectedTensor& tensor) { return !is_head(tensor); });
  return tensors;
}

// Settings whose texts differ; names of tensors and biases are the file's matter, not the
// network's.
std::vector<SettingChange> setting_changes(const ModelDescription& a, const ModelDescription& b) {
  std::vector<SettingChange> out;
  for (const Finding& before : a.findings) {
    if (before.what == "names" || before.what == "convolution biases") continue;
    const auto after = std::ranges::find(b.findings, before.what, &Finding::what);
    if (after == b.findings.end() || after->value == before.value) continue;
    out.push_back({before.what, before.value, after->value});
  }
  if (a.class_names != b.class_names && !a.class_names.empty() && !b.class_names.empty()) {
    std::erase_if(out, [](const SettingChange& change) { return change.what == "class names"; });
    out.push_back(
        {"class names", text::join(a.class_names, ", "), text::join(b.class_names, ", ")});
  }
  return out;
}

void check_same_backbone(const WeightFile& a, const ModelDescription& network_a,
                         const WeightFile& b, const ModelDescription& network_b) {
  check_against(a, network_a);
  check_against(b, network_b);
  if (network_a.stem_channels == network_b.stem_channels && network_a.width == network_b.width)
    return;
  fail_input(
      text::format("{} and {} hold different networks: {} and {} channels in the stem, {:g} "
                   "and {:g} in the first block: compare files of one network",
                   a.path(), b.path(), network_a.stem_channels, network_b.stem_channels,
                   64 * network_a.width, 64 * network_b.width));
}

}  // namespace

Difference compare(const WeightFile& a, const ModelDescription& network_a, const WeightFile& b,
                   const ModelDescription& network_b) {
  check_same_backbone(a, network_a, b, network_b);
  Difference out;
  out.settings = setting_changes(network_a, network_b);
  const bool same_head =
      network_a.head_hidden == network_b.head_hidden && network_a.classes == network_b.classes;
  Sums backbone;
  std::vector<std::pair<LayerChange, Sums>> parts;
  for (const ExpectedTensor& tensor : expected_tensors(network_a)) {
    if (tensor.role == TensorRole::kConvBias || (is_head(tensor) && !same_head)) continue;
    const std::string layer = layer_of(tensor.name), part = part_of(tensor.role);
    if (parts.empty() || parts.back().first.layer != layer || parts.back().first.part != part) {
      parts.push_back({});
      parts.back().first.layer = layer;
      parts.back().first.part = part;
    }
    const std::vector<float> before = read(a, tensor), after = read(b, tensor);
    parts.back().second.add(before, after);
    if (!is_head(tensor) && part != "statistics") backbone.add(before, after);
  }
  for (auto& [change, sums] : parts) {
    sums.write(change);
    out.layers.push_back(std::move(change));
  }
  if (!same_head) {
    LayerChange change;
    change.layer = "fc";
    change.part = "weights";
    change.replaced =
        text::format("{} -> {}", shapes_text(head_of(network_a)), shapes_text(head_of(network_b)));
    out.layers.push_back(std::move(change));
  }
  out.backbone.layer = "backbone";
  out.backbone.part = "weights, gamma, beta";
  backbone.write(out.backbone);
  return out;
}

}  // namespace verace::weights
