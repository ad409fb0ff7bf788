// Convolution and batch norm: the layers, and the folded (inference) form.
#include "layers/conv_bn.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "engine/precision.h"
#include "engine/with_storage.h"
#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "layers/packed_filter.h"

namespace verace::layers {

using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;

engine::Layer& add_batch_norm(engine::LayerTable& table, engine::Layer layer, int64_t channels) {
  layer.kind = engine::LayerKind::kBatchNorm;
  engine::Layer& bn = table.add(std::move(layer));
  std::ranges::fill(table.add_parameter(bn, "weight", {channels}).value.f32_span(), 1.0f);
  table.add_parameter(bn, "bias", {channels});
  table.add_parameter(bn, "running_mean", {channels}, true);
  Tensor& variance = table.add_parameter(bn, "running_var", {channels}, true).value;
  std::ranges::fill(variance.f32_span(), 1.0f);
  return bn;
}

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
  bn_ = &add_batch_norm(table,
                        {spec_.bn_name,
                         spec_.keras_bn_name,
                         spec_.keras_bn_index,
                         spec_.stage,
                         spec_.block,
                         engine::LayerKind::kBatchNorm,
                         true,
                         {}},
                        k);
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

struct ConvBn::Folded {
  ConvBnInputs in;
  Value y;
  PackedFilter packed;
};

template <typename T>
Value ConvBn::append_folded(StepBuilder& b, const ConvBnInputs& in) const {
  const kernels::ConvGeometry g = geometry(b, in.x);
  const std::string& name = spec_.conv_name;
  const kernels::ConvPostOps post{
      .bias = true, .add = in.shortcut.has_value(), .relu = in.relu, .slope = in.slope};
  std::shared_ptr<kernels::ConvForwardOf<T>> plan =
      kernels::plan_conv_forward<T>(b.exec(), g, post);
  Tensor& packed = b.constant(name + " folded", {plan->packed_count()}, engine::dtype_of<T>());
  Tensor& bias = b.constant(name + " folded bias", {g.k});
  b.add_preparation({name + " fold",
                     "fold",
                     {},
                     {},
                     0,
                     [this, exec = b.exec(), plan, &packed, &bias](const StepMemory&) {
                       fold_into<T>(exec, *plan, packed, bias);
                     }});
  // cuDNN does not say that a convolution's output may be what it adds.
  const bool on_cuda = b.exec().device == kernels::DeviceKind::kCuda;
  const Value y =
      in.shortcut && in.overwrite_shortcut && !on_cuda
          ? b.in_place(*in.shortcut, name + " output")
          : b.temporary(name + " output", engine::dtype_of<T>(), {g.x.n, g.p(), g.q(), g.k});
  std::vector<Value> reads = {in.x}, writes = {y};
  if (in.shortcut) reads.push_back(*in.shortcut);
  const auto scratch = b.scratch(name + " scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " forward", "conv forward, folded", reads, writes, g.flops(),
         [plan, in, y, scratch, &packed, &bias](const StepMemory& m) {
           plan->run({.x = m.as<T>(in.x),
                      .packed = packed.as<T>(),
                      .bias = bias.f32(),
                      .add = m.as<T>(in.shortcut),
                      .y = m.as<T>(y),
                      .scratch = m.as<std::byte>(scratch)});
         }});
  if (b.needs_gradient(in.x) || (in.shortcut && b.needs_gradient(*in.shortcut))) {
    b.set_needs_gradient(y);
    const Folded f{in, y, {std::nullopt, &packed, plan->keeps_layout()}};
    b.on_backward([this, &b, f] { append_folded_backward<T>(b, f); });
  }
  return y;
}

template <typename T, typename Plan>
void ConvBn::fold_into(const kernels::Exec& exec, const Plan& plan, const Tensor& packed,
                       const Tensor& bias) const {
  if constexpr (std::is_same_v<T, float>) {
    if (plan.keeps_layout()) return fold(exec, packed.f32(), bias.f32());
  }
  const int64_t count = conv_->parameter("weight").value.count();
  const Tensor filter("folded", engine::DType::kF32, {count}, engine::memory_of(exec));
  fold(exec, filter.f32(), bias.f32());
  plan.pack(filter.f32(), packed.as<T>());
}

namespace {

// The gradients of y, one or two, as one: through the ReLU where there is one, in the bytes of the
// first.
template <typename T>
Value append_relu_backward(StepBuilder& b, const std::string& name, const std::vector<Value>& dy,
                           bool relu, Value y) {
  if (!relu && dy.size() == 1) return dy[0];
  const Value dz = b.in_place(dy[0], name + " dz");
  std::vector<Value> reads = dy;
  if (relu) reads.push_back(y);
  const int64_t count = engine::element_count(b.info(y).shape);
  b.add({name + " relu backward",
         "relu backward",
         reads,
         {dz},
         0,
         [exec = b.exec(), dy, dz, y, count, relu](const StepMemory& m) {
           const T* first = m.as<T>(dy[0]);
           const T* second = dy.size() == 2 ? m.as<T>(dy[1]) : nullptr;
           if (relu) {
             kernels::leaky_relu_backward<T>(exec,
                                             {count, m.as<T>(y), first, second, 0.0f, m.as<T>(dz)});
           } else {
             kernels::add<T>(exec, {count, first, second, false, m.as<T>(dz)});
           }
         }});
  return dz;
}

}  // namespace

// The folded filter in the form that `plan` reads: the forward pass' copy where that serves both.
template <typename T, typename Plan>
PackedFilter ConvBn::append_folded_filter(StepBuilder& b, std::shared_ptr<Plan> plan,
                                          const Folded& f) const {
  if (f.packed.keeps_layout && plan->keeps_layout()) return f.packed;
  const std::string& name = spec_.conv_name;
  Tensor& packed =
      b.constant(name + " folded, for data", {plan->packed_count()}, engine::dtype_of<T>());
  b.add_preparation(
      {name + " fold for data",
       "fold",
       {},
       {},
       0,
       [this, exec = b.exec(), plan, &packed, k = spec_.out_channels](const StepMemory&) {
         const Tensor bias("unused", engine::DType::kF32, {k}, engine::memory_of(exec));
         fold_into<T>(exec, *plan, packed, bias);
       }});
  return {std::nullopt, &packed, plan->keeps_layout()};
}

template <typename T>
void ConvBn::append_folded_backward(StepBuilder& b, const Folded& f) const {
  const ConvBnInputs& in = f.in;
  const std::string& name = spec_.conv_name;
  const std::vector<Value> dy = b.gradients(f.y);
  if (dy.empty()) return;
  const Value dz = append_relu_backward<T>(b, name, dy, in.relu, f.y);
  if (in.shortcut && b.needs_gradient(*in.shortcut)) b.add_gradient(*in.shortcut, dz);
  if (!b.needs_gradient(in.x)) return;
  const kernels::ConvGeometry g = geometry(b, in.x);
  std::shared_ptr<kernels::ConvBackwardDataOf<T>> plan =
      kernels::plan_conv_backward_data<T>(b.exec(), g);
  const PackedFilter packed = append_folded_filter<T>(b, plan, f);
  const Value dx = b.temporary(name + " dx", engine::dtype_of<T>(), b.info(in.x).shape);
  std::vector<Value> writes = {dx};
  const auto scratch = b.scratch(name + " data scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " backward data",
         "conv backward data",
         {dz},
         writes,
         g.flops(),
         [plan, packed, dz, dx, scratch](const StepMemory& m) {
           plan->run({m.as<T>(dz), packed.get<T>(m), m.as<T>(dx), m.as<std::byte>(scratch)});
         }});
  b.add_gradient(in.x, dx);
}

Value ConvBn::append(StepBuilder& builder, const BuildOptions& options,
                     const ConvBnInputs& in) const {
  VERACE_CHECK(!in.shortcut || builder.info(*in.shortcut).dtype == builder.info(in.x).dtype,
               spec_.conv_name);
  const bool trainable = options.training && (conv_->trainable || bn_->trainable);
  const bool batch_statistics =
      options.training && options.frozen_batch_norm == FrozenBatchNorm::kBatch;
  VERACE_CHECK(in.slope == 0.0f || !(trainable || batch_statistics), spec_.conv_name);
  if (trainable || batch_statistics) return append_unfolded(builder, options, in);
  return engine::with_storage(builder.info(in.x).dtype,
                              [&]<typename T>(T) { return append_folded<T>(builder, in); });
}

}  // namespace verace::layers
