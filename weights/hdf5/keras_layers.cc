// The table of the kinds of layers, and the refusal of others.
#include "weights/hdf5/keras_layers.h"

#include <algorithm>

#include "kernels/format.h"

namespace verace::weights::hdf5 {
namespace {

constexpr const char* kBatchNormKinds[] = {"gamma", "beta", "moving_mean", "moving_variance"};
constexpr const char* kKernelKinds[] = {"kernel", "bias"};

bool is_vector(const KerasWeight& weight) { return weight.dataset.shape.size() == 1; }

bool is_batch_norm(std::span<const KerasWeight> weights) {
  return weights.size() == 4 && std::ranges::all_of(weights, [&](const KerasWeight& weight) {
           return is_vector(weight) && weight.dataset.shape == weights[0].dataset.shape;
         });
}

bool is_kernel(std::span<const KerasWeight> weights) {
  if (weights.empty() || weights.size() > 2) return false;
  const auto& kernel = weights[0].dataset.shape;
  if (kernel.size() != 4 && kernel.size() != 2) return false;
  return weights.size() == 1 ||
         (is_vector(weights[1]) && weights[1].dataset.shape[0] == kernel.back());
}

[[noreturn]] void refuse(const Source& source, const std::string& layer,
                         std::span<const KerasWeight> weights) {
  std::string shapes;
  constexpr size_t kShown = 6;
  for (const KerasWeight& weight : weights.first(std::min(weights.size(), kShown))) {
    shapes += (shapes.empty() ? "" : ", ") + shape_text(weight.dataset.shape);
  }
  if (weights.size() > kShown) shapes += ", ...";
  const bool vectors = weights.size() < 4 && std::ranges::all_of(weights, is_vector);
  source.unsupported(
      text::format("layer {} has {} tensors ({}): {}", in_quotes(layer), weights.size(), shapes,
                   vectors ? "a batch norm without scale or centre, or an unknown kind of layer"
                           : "neither convolution nor dense layer nor batch norm"),
      "name weights of a ResNet-50");
}

}  // namespace

void append_layer(const Source& source, const std::string& layer,
                  std::span<const KerasWeight> weights, std::vector<TensorView>& tensors) {
  const bool batch_norm = is_batch_norm(weights);
  if (!batch_norm && !is_kernel(weights)) refuse(source, layer, weights);
  for (size_t i = 0; i < weights.size(); ++i) {
    TensorView tensor;
    tensor.name = text::format("{}/{}", layer, batch_norm ? kBatchNormKinds[i] : kKernelKinds[i]);
    tensor.stored_name = weights[i].stored_name;
    tensor.dtype = weights[i].dataset.dtype;
    tensor.shape = weights[i].dataset.shape;
    tensor.bytes = weights[i].dataset.bytes;
    tensors.push_back(std::move(tensor));
  }
}

}  // namespace verace::weights::hdf5
