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

namespace {

// What an operation works in, written to its list of values; nullopt where it needs none.
std::optional<Value> append_scratch(StepBuilder& b, const std::string& name, int64_t bytes,
                                    std::vector<Value>& writes) {
  const std::optional<Value> scratch = b.scratch(name, bytes);
  if (scratch) writes.push_back(*scratch);
  return scratch;
}

std::byte* bytes_of(const StepMemory& m, const std::optional<Value>& scratch) {
  return scratch ? m.bytes(*scratch) : nullptr;
}

}  // namespace

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
  // Only where nothing is trained: a GPU's library may write 0 for relu(NaN), and training must see
  // the NaN in its loss.
  const bool fused = slope == 0.0f && !options.training;
  const std::shared_ptr<kernels::GemmPlan> plan = kernels::plan_gemm(
      b.exec(), {.m = n, .n = out_, .k = in_, .transpose_b = true, .bias = true, .relu = fused});
  Value y = b.temporary(name + (fused ? " activation" : " output"), DType::kF32, {n, out_});
  std::vector<Value> writes = {y};
  const auto scratch = append_scratch(b, name + " scratch", plan->scratch_bytes(), writes);
  b.add({name + " forward",
         "dense forward",
         {x},
         writes,
         2 * n * in_ * out_,
         [plan, x, y, scratch, &w = layer_->parameter("weight").value,
          &bias = layer_->parameter("bias").value](const StepMemory& m) {
           plan->run({m.f32(x), w.f32(), bias.f32(), m.f32(y), bytes_of(m, scratch)});
         }});
  const Value z = y;
  if (slope && !fused) {
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
    if (!(f.z == y)) b.mark_gradient(f.z, dy);  // with a fused ReLU there is no z
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
  if (f.trainable) append_weight_gradients(b, x, dy);
  if (b.needs_gradient(x)) append_input_gradient(b, x, dy);
}

void Dense::append_weight_gradients(StepBuilder& b, Value x, Value dy) const {
  const std::string& name = layer_->name;
  const int64_t n = b.info(x).shape[0];
  const std::shared_ptr<kernels::GemmPlan> plan =
      kernels::plan_gemm(b.exec(), {.m = out_, .n = in_, .k = n, .transpose_a = true});
  const bool cuda = b.exec().device == kernels::DeviceKind::kCuda;
  const int64_t sums = cuda ? kernels::bias_gradient_scratch(n, out_) : 0;
  std::vector<Value> writes;
  const auto scratch = append_scratch(b, name + " weights scratch", plan->scratch_bytes(), writes);
  const auto partial = append_scratch(b, name + " bias scratch",
                                      sums * static_cast<int64_t>(sizeof(double)), writes);
  engine::Parameter& w = layer_->parameter("weight");
  engine::Parameter& bias = layer_->parameter("bias");
  b.add({name + " backward weights",
         "dense backward",
         {x, dy},
         writes,
         2 * n * in_ * out_,
         [exec = b.exec(), plan, n, out = out_, x, dy, scratch, partial, &w,
          &bias](const StepMemory& m) {
           plan->run({m.f32(dy), m.f32(x), nullptr, w.gradient.f32(), bytes_of(m, scratch)});
           kernels::bias_gradient(
               exec, {n, out, m.f32(dy), bias.gradient.f32(), kernels::GradMode::kOverwrite,
                      reinterpret_cast<double*>(bytes_of(m, partial))});
         },
         {&w.gradient, &bias.gradient}});
}

void Dense::append_input_gradient(StepBuilder& b, Value x, Value dy) const {
  const std::string& name = layer_->name;
  const int64_t n = b.info(x).shape[0];
  const std::shared_ptr<kernels::GemmPlan> plan =
      kernels::plan_gemm(b.exec(), {.m = n, .n = in_, .k = out_});
  const Value dx = b.temporary(name + " dx", DType::kF32, {n, in_});
  std::vector<Value> writes = {dx};
  const auto scratch = append_scratch(b, name + " data scratch", plan->scratch_bytes(), writes);
  b.add({name + " backward data",
         "dense backward",
         {dy},
         writes,
         2 * n * in_ * out_,
         [plan, dy, dx, scratch, &w = layer_->parameter("weight")](const StepMemory& m) {
           plan->run({m.f32(dy), w.value.f32(), nullptr, m.f32(dx), bytes_of(m, scratch)});
         }});
  b.add_gradient(x, dx);
}

}  // namespace verace::layers
