// Dense layers: operations of the forward and the backward pass.
#include "layers/dense.h"

#include "kernels/activation.h"
#include "kernels/check.h"
#include "kernels/gemm.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Value;

Dense::Dense(engine::LayerTable& table, const std::string& name, int64_t in, int64_t out)
    : in_(in), out_(out) {
  layer_ = &table.add({name, "", -1, 5, 17, engine::LayerKind::kDense, true, {}});
  table.add_parameter(*layer_, "weight", {out, in});
  table.add_parameter(*layer_, "bias", {out});
}

Value Dense::append(StepBuilder& b, const BuildOptions& options, Value x,
                    std::optional<float> slope) const {
  const engine::Shape& shape = b.info(x).shape;
  VERACE_CHECK(shape.size() == 2 && shape[1] == in_, layer_->name);
  const int64_t n = shape[0];
  const std::string& name = layer_->name;
  Value y = b.temporary(name + " output", DType::kF32, {n, out_});
  b.add({name + " forward",
         "dense forward",
         {x},
         {y},
         2 * n * in_ * out_,
         [exec = b.exec(), n, in = in_, out = out_, x, y, &w = layer_->parameter("weight").value,
          &bias = layer_->parameter("bias").value](const StepMemory& m) {
           kernels::gemm(exec, {.m = n,
                                .n = out,
                                .k = in,
                                .transpose_b = true,
                                .a = m.f32(x),
                                .b = w.f32(),
                                .bias = bias.f32(),
                                .c = m.f32(y)});
         }});
  const Value z = y;
  if (slope) {
    y = b.in_place(z, name + " activation");
    b.add({name + " activation",
           "leaky relu forward",
           {z},
           {y},
           0,
           [exec = b.exec(), count = n * out_, z, y, slope](const StepMemory& m) {
             kernels::leaky_relu_forward(exec, {count, m.f32(z), *slope, m.f32(y)});
           }});
  }
  const bool trainable =
      options.training && options.recalibration_momentum == nullptr && layer_->trainable;
  if (trainable || b.needs_gradient(x)) {
    b.set_needs_gradient(y);
    b.on_backward([this, &b, x, z, y, slope, trainable] {
      append_backward(b, {x, z, y, slope, trainable});
    });
  }
  return y;
}

void Dense::append_backward(StepBuilder& b, const Forward& f) const {
  const Value x = f.x, y = f.y;
  const std::optional<float> slope = f.slope;
  const std::vector<Value> gradients = b.gradients(y);
  if (gradients.empty()) return;
  VERACE_CHECK(gradients.size() == 1, "a dense output does not fork");
  const std::string& name = layer_->name;
  const int64_t n = b.info(x).shape[0];
  Value dy = gradients[0];
  if (slope) {
    dy = b.in_place(gradients[0], name + " dz");
    b.mark_gradient(f.z, dy);
    b.add({name + " activation backward",
           "leaky relu backward",
           {y, gradients[0]},
           {dy},
           0,
           [exec = b.exec(), count = n * out_, y, old = gradients[0], dy,
            slope](const StepMemory& m) {
             kernels::leaky_relu_backward(
                 exec, {count, m.f32(y), m.f32(old), nullptr, *slope, m.f32(dy)});
           }});
  }
  engine::Parameter& w = layer_->parameter("weight");
  if (f.trainable) {
    engine::Parameter& bias = layer_->parameter("bias");
    b.add({name + " backward weights",
           "dense backward",
           {x, dy},
           {},
           2 * n * in_ * out_,
           [exec = b.exec(), n, in = in_, out = out_, x, dy, &w, &bias](const StepMemory& m) {
             kernels::gemm(exec, {.m = out,
                                  .n = in,
                                  .k = n,
                                  .transpose_a = true,
                                  .a = m.f32(dy),
                                  .b = m.f32(x),
                                  .c = w.gradient.f32()});
             kernels::bias_gradient(exec, {n, out, m.f32(dy), bias.gradient.f32()});
           },
           {&w.gradient, &bias.gradient}});
  }
  if (!b.needs_gradient(x)) return;
  const Value dx = b.temporary(name + " dx", DType::kF32, {n, in_});
  b.add({name + " backward data",
         "dense backward",
         {dy},
         {dx},
         2 * n * in_ * out_,
         [exec = b.exec(), n, in = in_, out = out_, dy, dx, &w](const StepMemory& m) {
           kernels::gemm(
               exec,
               {.m = n, .n = in, .k = out, .a = m.f32(dy), .b = w.value.f32(), .c = m.f32(dx)});
         }});
  b.add_gradient(x, dx);
}

}  // namespace verace::layers
