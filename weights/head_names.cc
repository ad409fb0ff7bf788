// Chains of dense layers by their shapes.
#include "weights/head_names.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace verace::weights {
namespace {

struct DenseLayer {
  std::string name;
  TensorView* weight = nullptr;
  TensorView* bias = nullptr;

  int64_t out() const { return weight->shape[0]; }
  int64_t in() const { return weight->shape[1]; }
};

const TensorView* find(const TensorTable& table, std::string_view name) {
  const auto found = std::ranges::find(table.tensors, name, &TensorView::name);
  return found == table.tensors.end() ? nullptr : &*found;
}

// Complete ones, in the order of the file.
std::vector<DenseLayer> dense_layers(std::span<const DenseTensor> candidates) {
  std::vector<DenseLayer> layers;
  std::unordered_map<std::string_view, size_t> places;  // keys point into the candidates
  for (const DenseTensor& candidate : candidates) {
    const auto [place, is_new] = places.emplace(candidate.layer, layers.size());
    if (is_new) layers.push_back({candidate.layer});
    DenseLayer* const layer = &layers[place->second];
    if (candidate.kind == "weight") layer->weight = candidate.tensor;
    if (candidate.kind == "bias") layer->bias = candidate.tensor;
  }
  std::erase_if(layers, [](const DenseLayer& layer) {
    return layer.weight == nullptr || layer.bias == nullptr || layer.weight->shape.size() != 2 ||
           layer.bias->shape != std::vector<int64_t>{layer.weight->shape[0]};
  });
  return layers;
}

}  // namespace

std::vector<std::pair<TensorView*, std::string>> find_head(
    const TensorTable& table, std::span<const DenseTensor> candidates) {
  const TensorView* last = find(table, "layer4.2.conv3.weight");
  if (last == nullptr || last->shape.size() != 4) return {};
  if (find(table, "fc.weight") != nullptr || find(table, "fc.2.weight") != nullptr) return {};
  int64_t channels = last->shape[0];
  // A first layer of a known name, and a second one behind something without tensors (a dropout).
  const TensorView* first = find(table, "fc.0.weight");
  if (first != nullptr && first->shape.size() == 2) channels = first->shape[0];

  std::vector<DenseLayer> layers = dense_layers(candidates);
  if (layers.empty() || layers.size() > (first == nullptr ? 2 : 1)) return {};
  const auto leads_on = [&] {
    return layers.front().in() == channels &&
           (layers.size() == 1 || layers[1].in() == layers[0].out());
  };
  if (!leads_on()) {
    std::ranges::reverse(layers);
    if (!leads_on()) return {};
  }
  std::vector<std::string> names{"fc."};
  if (first != nullptr) names = {"fc.2."};
  if (layers.size() == 2) names = {"fc.0.", "fc.2."};
  std::vector<std::pair<TensorView*, std::string>> out;
  for (size_t i = 0; i < layers.size(); ++i) {
    out.emplace_back(layers[i].weight, names[i] + "weight");
    out.emplace_back(layers[i].bias, names[i] + "bias");
  }
  return out;
}

}  // namespace verace::weights
