// Convolution and batch norm: the layers, and the folded (inference) form.
#include "layers/conv_bn.h"

#include <algorithm>
#include <utility>

#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"

namespace verace::layers {

using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;

ConvBn::ConvBn(engine::LayerTable& table, ConvBnSpec spec, const BatchNormAttributes& attributes)
    : spec_(std::move(spec)), attributes_(attributes) {
  const int64_t k = spec_.out_channels;
  conv_ = &table.add({spec_.conv_name,
                      spec_.keras_conv_name,
                      spec_.keras_conv_index,
                      spec_.stage,
                      spec_.block,
                      engine::LayerKind::kConvolution,
                      true,
                      {}});
  table.add_parameter(*conv_, "weight", {k, spec_.kernel, spec_.kernel, spec_.in_channels});
  bn_ = &table.add({spec_.bn_name,
                    spec_.keras_bn_name,
                    spec_.keras_bn_index,
                    spec_.stage,
                    spec_.block,
                    engine::LayerKind::kBatchNorm,
                    true,
                    {}});
  std::ranges::fill(table.add_parameter(*bn_, "weight", {k}).value.f32_span(), 1.0f);
  table.add_parameter(*bn_, "bias", {k});
  table.add_parameter(*bn_, "running_mean", {k}, true);
  std::ranges::fill(table.add_parameter(*bn_, "running_var", {k}, true).value.f32_span(), 1.0f);
}

kernels::ConvGeometry ConvBn::geometry(const StepBuilder& builder, Value x) const {
  const engine::Shape& shape = builder.info(x).shape;
  VERACE_CHECK(shape.size() == 4 && shape[3] == spec_.in_channels, spec_.conv_name);
  return {{shape[0], shape[1], shape[2], shape[3]},
          spec_.out_channels,
          spec_.kernel,
          spec_.kernel,
          spec_.stride,
          spec_.stride,
          spec_.pad,
          spec_.pad};
}

Value ConvBn::append(StepBuilder& builder, const BuildOptions& options,
                     const ConvBnInputs& in) const {
  const bool trainable = options.training && (conv_->trainable || bn_->trainable);
  const bool batch_statistics =
      options.training && options.frozen_batch_norm == FrozenBatchNorm::kBatch;
  return trainable || batch_statistics ? append_unfolded(builder, options, in)
                                       : append_folded(builder, in);
}

void ConvBn::fold(const kernels::Exec& exec, float* filter, float* bias) const {
  const Tensor& w = conv_->parameter("weight").value;
  kernels::fold_batch_norm(exec, {.k = spec_.out_channels,
                                  .fan_in = w.count() / spec_.out_channels,
                                  .w = w.f32(),
                                  .gamma = bn_->parameter("weight").value.f32(),
                                  .beta = bn_->parameter("bias").value.f32(),
                                  .mean = bn_->parameter("running_mean").value.f32(),
                                  .variance = bn_->parameter("running_var").value.f32(),
                                  .epsilon = attributes_.epsilon,
                                  .w_out = filter,
                                  .bias_out = bias});
}

Value ConvBn::append_folded(StepBuilder& b, const ConvBnInputs& in) const {
  const kernels::ConvGeometry g = geometry(b, in.x);
  const std::string& name = spec_.conv_name;
  const kernels::ConvPostOps post{.bias = true, .add = in.shortcut.has_value(), .relu = in.relu};
  std::shared_ptr<kernels::ConvForward> plan = kernels::plan_conv_forward(b.exec(), g, post);
  Tensor& packed = b.constant(name + " folded", {plan->packed_count()});
  Tensor& bias = b.constant(name + " folded bias", {g.k});
  b.add_preparation(
      {name + " fold",
       "fold",
       {},
       {},
       0,
       [this, exec = b.exec(), plan, &packed, &bias, count = g.filter_count()](const StepMemory&) {
         const Tensor filter("folded", engine::DType::kF32, {count}, engine::memory_of(exec));
         fold(exec, filter.f32(), bias.f32());
         plan->pack(filter.f32(), packed.f32());
       }});
  const Value y =
      in.shortcut && in.overwrite_shortcut
          ? b.in_place(*in.shortcut, name + " output")
          : b.temporary(name + " output", engine::DType::kF32, {g.x.n, g.p(), g.q(), g.k});
  std::vector<Value> reads = {in.x}, writes = {y};
  if (in.shortcut) reads.push_back(*in.shortcut);
  const auto scratch = b.scratch(name + " scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " forward", "conv forward, folded", reads, writes, g.flops(),
         [plan, in, y, scratch, &packed, &bias](const StepMemory& m) {
           plan->run({.x = m.f32(in.x),
                      .packed = packed.f32(),
                      .bias = bias.f32(),
                      .add = m.f32(in.shortcut),
                      .y = m.f32(y),
                      .scratch = scratch ? m.bytes(*scratch) : nullptr});
         }});
  if (b.needs_gradient(in.x) || (in.shortcut && b.needs_gradient(*in.shortcut))) {
    b.set_needs_gradient(y);
    b.on_backward([this, &b, in, y] { append_folded_backward(b, in, y); });
  }
  return y;
}

void ConvBn::append_folded_backward(StepBuilder& b, const ConvBnInputs& in, Value y) const {
  const std::string& name = spec_.conv_name;
  const std::vector<Value> dy = b.gradients(y);
  if (dy.empty()) return;
  Value dz = dy[0];
  if (in.relu || dy.size() == 2) {
    dz = b.in_place(dy[0], name + " dz");
    std::vector<Value> reads = dy;
    if (in.relu) reads.push_back(y);
    const int64_t count = engine::element_count(b.info(y).shape);
    b.add({name + " relu backward",
           "relu backward",
           reads,
           {dz},
           0,
           [exec = b.exec(), dy, dz, y, count, relu = in.relu](const StepMemory& m) {
             const float* second = dy.size() == 2 ? m.f32(dy[1]) : nullptr;
             if (relu) {
               kernels::leaky_relu_backward(
                   exec, {count, m.f32(y), m.f32(dy[0]), second, 0.0f, m.f32(dz)});
             } else {
               kernels::add(exec, {count, m.f32(dy[0]), second, false, m.f32(dz)});
             }
           }});
  }
  if (in.shortcut && b.needs_gradient(*in.shortcut)) b.add_gradient(*in.shortcut, dz);
  if (!b.needs_gradient(in.x)) return;
  const kernels::ConvGeometry g = geometry(b, in.x);
  std::shared_ptr<kernels::ConvBackwardData> plan = kernels::plan_conv_backward_data(b.exec(), g);
  Tensor& packed = b.constant(name + " folded, for data", {plan->packed_count()});
  b.add_preparation({name + " fold for data",
                     "fold",
                     {},
                     {},
                     0,
                     [this, exec = b.exec(), plan, &packed, k = g.k,
                      count = g.filter_count()](const StepMemory&) {
                       const engine::MemoryKind memory = engine::memory_of(exec);
                       const Tensor filter("folded", engine::DType::kF32, {count}, memory);
                       const Tensor bias("unused", engine::DType::kF32, {k}, memory);
                       fold(exec, filter.f32(), bias.f32());
                       plan->pack(filter.f32(), packed.f32());
                     }});
  const Value dx = b.temporary(name + " dx", engine::DType::kF32, b.info(in.x).shape);
  std::vector<Value> writes = {dx};
  const auto scratch = b.scratch(name + " data scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " backward data",
         "conv backward data",
         {dz},
         writes,
         g.flops(),
         [plan, dz, dx, scratch, &packed](const StepMemory& m) {
           plan->run({m.f32(dz), packed.f32(), m.f32(dx), scratch ? m.bytes(*scratch) : nullptr});
         }});
  b.add_gradient(in.x, dx);
}

}  // namespace verace::layers
