// The layer table: every layer with parameters, in order, with names and frozen state. Freezing,
// weights and reports speak of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace verace::engine {

struct Parameter {
  std::string name;  // torchvision's tensor name: "layer1.0.conv1.weight"
  Tensor value;      // convolutions [k, r, s, c], dense layers [out, in], others [c]
  Tensor gradient;   // same shape; empty until allocate_gradients()
  bool statistic =
      false;  // running mean or variance: moved by forward passes, not by the optimiser
};

enum class LayerKind { kConvolution, kBatchNorm, kDense };

struct Layer {
  std::string name;        // torchvision's: "layer1.0.conv1", "fc.0"
  std::string keras_name;  // "conv2_block1_1_conv"; empty for the head
  int keras_index = -1;    // position in Keras' model.layers (semantics.md A.1); -1 for the head
  int stage = 0;           // 0 stem, 1-4 the stages of blocks, 5 head
  int block = 0;           // bottleneck counted from 1 through the network; 0 stem, 17 head
  LayerKind kind = LayerKind::kConvolution;
  bool trainable = true;
  std::vector<std::unique_ptr<Parameter>> parameters;

  // The parameter whose name ends in ".suffix". Throws Error(kInternal) if there is none.
  Parameter& parameter(const std::string& suffix) const;
  // Elements of all parameters, or without the statistics.
  int64_t parameter_count(bool with_statistics) const;
};

class LayerTable {
 public:
  // Adds a layer in network order; the reference stays valid.
  Layer& add(Layer layer);
  // Adds a zero-filled parameter called `layer.name + "." + suffix`.
  static Parameter& add_parameter(Layer& layer, const std::string& suffix, Shape shape,
                                  bool statistic = false);

  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  // By torchvision or Keras name; nullptr if there is none.
  Layer* find(const std::string& name) const;
  std::vector<Parameter*> parameters() const;
  // Those that the optimiser moves: parameters of trainable layers that are no statistics.
  std::vector<Parameter*> trainable_parameters() const;
  // Gives every trainable parameter a gradient tensor, beside its value, and takes it from all
  // others. Those of convolutions' filters are of type `filters`, what the backward pass writes;
  // all others of kF32.
  void allocate_gradients(DType filters = DType::kF32);
  // Moves all values, and gradients with them, into the memory that a device works in. Steps that
  // were planned before must not be run any more.
  void move_to(MemoryKind memory);
  // Where the values are: host memory until moved.
  MemoryKind memory() const { return memory_; }
  // Bytes of values and of gradients.
  int64_t value_bytes() const;
  int64_t gradient_bytes() const;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
  MemoryKind memory_ = MemoryKind::kHost;
};

}  // namespace verace::engine
