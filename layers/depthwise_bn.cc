// Depthwise convolution and batch norm: the layers, and the folded operation.
#include "layers/depthwise_bn.h"

#include <utility>
#include <vector>

#include "engine/transfer.h"
#include "kernels/batch_norm.h"
#include "kernels/check.h"
#include "kernels/depthwise_conv.h"

namespace verace::layers {

using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;

DepthwiseBn::DepthwiseBn(engine::LayerTable& table, DepthwiseBnSpec spec,
                         const BatchNormAttributes& attributes)
    : spec_(std::move(spec)), attributes_(attributes) {
  conv_ = &table.add({spec_.conv_name, "", -1, 0, 0, engine::LayerKind::kConvolution, true, {}});
  table.add_parameter(*conv_, "weight", {spec_.channels, 3, 3, 1});
  bn_ = &add_batch_norm(table, {spec_.bn_name, "", -1, 0, 0, {}, true, {}}, spec_.channels);
}

void DepthwiseBn::fold(const kernels::Exec& exec, const Tensor& filter, const Tensor& bias) const {
  const int64_t channels = spec_.channels;
  const Tensor folded("folded", engine::DType::kF32, {channels, 9}, engine::memory_of(exec));
  kernels::fold_batch_norm(exec, {.k = channels,
                                  .fan_in = 9,
                                  .w = conv_->parameter("weight").value.f32(),
                                  .gamma = bn_->parameter("weight").value.f32(),
                                  .beta = bn_->parameter("bias").value.f32(),
                                  .mean = bn_->parameter("running_mean").value.f32(),
                                  .variance = bn_->parameter("running_var").value.f32(),
                                  .epsilon = attributes_.epsilon,
                                  .w_out = folded.f32(),
                                  .bias_out = bias.f32()});
  // Turned on the host: once per plan, a few thousand numbers.
  const std::vector<float> by_channel = engine::read(folded);
  std::vector<float> by_tap(by_channel.size());
  for (size_t i = 0; i < by_tap.size(); ++i) {
    const size_t channel = i % static_cast<size_t>(channels);
    by_tap[i] = by_channel[channel * 9 + i / static_cast<size_t>(channels)];
  }
  engine::write(filter, by_tap);
}

Value DepthwiseBn::append(StepBuilder& b, Value x, float slope) const {
  const engine::Shape& s = b.info(x).shape;
  const std::string& name = spec_.conv_name;
  VERACE_CHECK(s.size() == 4 && s[3] == spec_.channels, name);
  VERACE_CHECK(!b.needs_gradient(x), name);
  kernels::DepthwiseConv call;
  call.shape = {s[0], s[1], s[2], s[3]};
  call.stride = spec_.stride;
  call.slope = slope;
  Tensor& filter = b.constant(name + " folded", {3, 3, spec_.channels});
  Tensor& bias = b.constant(name + " folded bias", {spec_.channels});
  b.add_preparation(
      {name + " fold",
       "fold",
       {},
       {},
       0,
       [this, exec = b.exec(), &filter, &bias](const StepMemory&) { fold(exec, filter, bias); }});
  const Value y =
      b.temporary(name + " output", engine::DType::kF32, {s[0], call.p(), call.q(), s[3]});
  b.add({name + " forward",
         "depthwise conv forward, folded",
         {x},
         {y},
         call.flops(),
         [exec = b.exec(), call, x, y, &filter, &bias](const StepMemory& m) {
           kernels::DepthwiseConv now = call;
           now.x = m.f32(x), now.w = filter.f32(), now.bias = bias.f32(), now.y = m.f32(y);
           kernels::depthwise_conv(exec, now);
         }});
  return y;
}

}  // namespace verace::layers
