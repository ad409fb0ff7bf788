// A convolution, its batch norm, and what follows them in a residual network: shortcut addition and
// ReLU.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/layer_table.h"
#include "engine/network_options.h"
#include "engine/step.h"
#include "kernels/shape.h"
#include "layers/build_options.h"
#include "layers/packed_filter.h"

namespace verace::layers {

// Attributes of all batch norms of a network; they are saved with the weights.
struct BatchNormAttributes {
  double epsilon = 1e-5;
  double momentum = 0.1;  // share of the new value in the running statistics (1 - Keras' momentum)
  engine::RunningVariance running_variance = engine::RunningVariance::kUnbiased;
};

// Adds a batch norm of `channels` channels to the table: gamma and running variance one, the others
// zero. The kind of `layer` is set.
engine::Layer& add_batch_norm(engine::LayerTable& table, engine::Layer layer, int64_t channels);

struct ConvBnSpec {
  std::string conv_name, bn_name;  // torchvision's
  std::string keras_conv_name, keras_bn_name;
  int keras_conv_index = -1, keras_bn_index = -1;
  int stage = 0, block = 0;
  int64_t in_channels = 0, out_channels = 0;
  int64_t kernel = 1, stride = 1, pad = 0;  // square
};

struct ConvBnInputs {
  engine::Value x;                             // [n, h, w, in_channels]
  std::optional<engine::Value> shortcut = {};  // [n, p, q, out_channels], added before the ReLU
  bool relu = false;
  float slope = 0.0f;  // of the ReLU below 0, [0, 1); only folded (CHECK)
  // The shortcut's bytes may take the output: nobody reads the shortcut afterwards, backward
  // included. A folded convolution on CUDA makes no use of it.
  bool overwrite_shortcut = false;
};

class ConvBn {
 public:
  // Adds the two layers to the table (weights zero, gamma and running variance one).
  ConvBn(engine::LayerTable& table, ConvBnSpec spec, const BatchNormAttributes& attributes);

  // Appends y = relu(batch_norm(conv(x)) + shortcut) and, if y needs a gradient, its backward. All
  // of them are stored in the type of x; batch norm's parameters and statistics are fp32.
  // Returns y [n, p, q, out_channels]. Frozen convolution and batch norm with running statistics
  // become one convolution with folded weights, of which nothing but the output is kept (and that
  // only for the mask of a ReLU that a gradient must pass).
  engine::Value append(engine::StepBuilder& builder, const BuildOptions& options,
                       const ConvBnInputs& in) const;

  const ConvBnSpec& spec() const { return spec_; }

 private:
  // T is the storage type of x.
  struct Folded;   // what the backward pass must know of the folded forward one
  struct Forward;  // and of the unfolded one
  template <typename T>
  engine::Value append_folded(engine::StepBuilder& builder, const ConvBnInputs& in) const;
  template <typename T, typename Plan>
  PackedFilter append_folded_filter(engine::StepBuilder& builder, std::shared_ptr<Plan> plan,
                                    const Folded& f) const;
  template <typename T>
  void append_folded_backward(engine::StepBuilder& builder, const Folded& f) const;
  engine::Value append_unfolded(engine::StepBuilder& builder, const BuildOptions& options,
                                const ConvBnInputs& in) const;
  template <typename T>
  engine::Value append_unfolded_of(engine::StepBuilder& builder, const BuildOptions& options,
                                   const ConvBnInputs& in) const;
  void append_convolution(engine::StepBuilder& builder, Forward& f) const;
  template <typename T>
  void append_statistics(engine::StepBuilder& builder, Forward& f) const;
  template <typename T>
  void append_normalisation(engine::StepBuilder& builder, const ConvBnInputs& in, Forward& f) const;
  template <typename T>
  void append_batch_norm_backward(engine::StepBuilder& builder, const Forward& f) const;
  void append_convolution_backward(engine::StepBuilder& builder, const Forward& f,
                                   engine::Value dz) const;
  kernels::ConvGeometry geometry(const engine::StepBuilder& builder, engine::Value x) const;
  // Writes the folded filter [k, r, s, c] and bias [k], both fp32.
  void fold(const kernels::Exec& exec, float* filter, float* bias) const;
  // The same with the filter in the form that `plan` reads.
  template <typename T, typename Plan>
  void fold_into(const kernels::Exec& exec, const Plan& plan, const engine::Tensor& packed,
                 const engine::Tensor& bias) const;

  ConvBnSpec spec_;
  BatchNormAttributes attributes_;
  engine::Layer* conv_;
  engine::Layer* bn_;
};

}  // namespace verace::layers
