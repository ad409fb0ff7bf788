// What the backward pass of an unfolded convolution and batch norm knows of the forward one.
#pragma once

#include <optional>
#include <vector>

#include "layers/conv_bn.h"
#include "layers/packed_filter.h"

namespace verace::layers {

struct ConvBn::Forward {
  ConvBnInputs in;
  bool train_conv = false, train_bn = false;  // gradients wanted
  bool batch_statistics = false;
  bool move_statistics = false;
  const double* momentum = nullptr;  // of the running statistics
  PackedFilter packed;
  engine::Value z, y;                                  // convolution's output, layer's output
  std::optional<engine::Value> mean_value, inv_value;  // statistics of the batch, or
  const engine::Tensor* mean_tensor = nullptr;         // running ones
  const engine::Tensor* inv_tensor = nullptr;

  const float* mean(const engine::StepMemory& m) const {
    return mean_value ? m.f32(*mean_value) : mean_tensor->f32();
  }
  const float* inv_std(const engine::StepMemory& m) const {
    return inv_value ? m.f32(*inv_value) : inv_tensor->f32();
  }
  void add_statistics_to(std::vector<engine::Value>& reads) const {
    if (mean_value) reads.insert(reads.end(), {*mean_value, *inv_value});
  }
};

}  // namespace verace::layers
