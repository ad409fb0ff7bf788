// The layer table.
#include "engine/layer_table.h"

#include <utility>

#include "engine/transfer.h"
#include "kernels/check.h"

namespace verace::engine {

Parameter& Layer::parameter(const std::string& suffix) const {
  const std::string wanted = name + "." + suffix;
  for (const auto& parameter : parameters) {
    if (parameter->name == wanted) return *parameter;
  }
  VERACE_CHECK(false, wanted);
  return *parameters.front();
}

int64_t Layer::parameter_count(bool with_statistics) const {
  int64_t count = 0;
  for (const auto& parameter : parameters) {
    if (with_statistics || !parameter->statistic) count += parameter->value.count();
  }
  return count;
}

Layer& LayerTable::add(Layer layer) {
  layers_.push_back(std::make_unique<Layer>(std::move(layer)));
  return *layers_.back();
}

Parameter& LayerTable::add_parameter(Layer& layer, const std::string& suffix, Shape shape,
                                     bool statistic) {
  auto parameter = std::make_unique<Parameter>();
  parameter->name = layer.name + "." + suffix;
  parameter->value = Tensor(parameter->name, DType::kF32, std::move(shape));
  parameter->statistic = statistic;
  layer.parameters.push_back(std::move(parameter));
  return *layer.parameters.back();
}

Layer* LayerTable::find(const std::string& name) const {
  for (const auto& layer : layers_) {
    if (layer->name == name || (!layer->keras_name.empty() && layer->keras_name == name))
      return layer.get();
  }
  return nullptr;
}

std::vector<Parameter*> LayerTable::parameters() const {
  std::vector<Parameter*> all;
  for (const auto& layer : layers_) {
    for (const auto& parameter : layer->parameters) all.push_back(parameter.get());
  }
  return all;
}

std::vector<Parameter*> LayerTable::trainable_parameters() const {
  std::vector<Parameter*> trainable;
  for (const auto& layer : layers_) {
    if (!layer->trainable) continue;
    for (const auto& parameter : layer->parameters) {
      if (!parameter->statistic) trainable.push_back(parameter.get());
    }
  }
  return trainable;
}

void LayerTable::allocate_gradients(DType filters) {
  for (const auto& layer : layers_) {
    const DType dtype = layer->kind == LayerKind::kConvolution ? filters : DType::kF32;
    for (const auto& parameter : layer->parameters) {
      const bool wanted = layer->trainable && !parameter->statistic;
      const Tensor& old = parameter->gradient;
      if (wanted ? !old.empty() && old.dtype() == dtype : old.empty()) continue;
      parameter->gradient =
          wanted ? Tensor(parameter->name + " gradient", dtype, parameter->value.shape(), memory_)
                 : Tensor();
    }
  }
}

void LayerTable::move_to(MemoryKind memory) {
  if (memory == memory_) return;
  for (Parameter* parameter : parameters()) {
    parameter->value = copied_to(memory, parameter->value);
    parameter->gradient = copied_to(memory, parameter->gradient);
  }
  memory_ = memory;
}

int64_t LayerTable::value_bytes() const {
  int64_t bytes = 0;
  for (const Parameter* parameter : parameters()) bytes += parameter->value.bytes();
  return bytes;
}

int64_t LayerTable::gradient_bytes() const {
  int64_t bytes = 0;
  for (const Parameter* parameter : parameters()) bytes += parameter->gradient.bytes();
  return bytes;
}

}  // namespace verace::engine
