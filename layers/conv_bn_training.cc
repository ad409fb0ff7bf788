// Convolution and batch norm, unfolded: the form of which something is trained (or normalised with
// batch statistics).
#include <algorithm>

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "layers/conv_bn.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;
using kernels::GradMode;

struct ConvBn::Forward {
  ConvBnInputs in;
  bool train_conv = false, train_bn = false;  // gradients wanted
  bool batch_statistics = false;
  bool move_statistics = false;
  const double* momentum = nullptr;            // of the running statistics
  Value z, y;                                  // convolution's output, layer's output
  std::optional<Value> mean_value, inv_value;  // statistics of the batch, or
  const Tensor* mean_tensor = nullptr;         // running ones
  const Tensor* inv_tensor = nullptr;

  const float* mean(const StepMemory& m) const {
    return mean_value ? m.f32(*mean_value) : mean_tensor->f32();
  }
  const float* inv_std(const StepMemory& m) const {
    return inv_value ? m.f32(*inv_value) : inv_tensor->f32();
  }
  void add_statistics_to(std::vector<Value>& reads) const {
    if (mean_value) reads.insert(reads.end(), {*mean_value, *inv_value});
  }
};

Value ConvBn::append_unfolded(StepBuilder& b, const BuildOptions& options,
                              const ConvBnInputs& in) const {
  Forward f;
  f.in = in;
  const bool learning = options.training && options.recalibration_momentum == nullptr;
  f.train_conv = learning && conv_->trainable;
  f.train_bn = learning && bn_->trainable;
  f.batch_statistics =
      options.training && (bn_->trainable || options.frozen_batch_norm == FrozenBatchNorm::kBatch);
  f.move_statistics = options.training && bn_->trainable;
  f.momentum =
      options.recalibration_momentum ? options.recalibration_momentum : &attributes_.momentum;
  f.z = append_convolution(b, in.x, f.train_conv);
  append_statistics(b, f);
  const bool needed = f.train_conv || f.train_bn || b.needs_gradient(in.x) ||
                      (in.shortcut && b.needs_gradient(*in.shortcut));
  if (in.shortcut && in.overwrite_shortcut) {
    f.y = b.in_place(*in.shortcut, spec_.conv_name + " output");
  } else if (needed) {
    f.y = b.temporary(spec_.conv_name + " output", DType::kF32, b.info(f.z).shape);
  } else {
    f.y = b.in_place(f.z, spec_.conv_name + " output");
  }
  append_normalisation(b, in, f);
  if (needed) {
    b.set_needs_gradient(f.y);
    b.on_backward([this, &b, f] { append_batch_norm_backward(b, f); });
  }
  return f.y;
}

namespace {

// The packed form of `weight` for `plan`: prepared once if frozen, else packed by an operation of
// every step.
struct Packed {
  std::optional<Value> value;
  const Tensor* constant = nullptr;
  const float* get(const StepMemory& m) const { return value ? m.f32(*value) : constant->f32(); }
};

template <typename Plan>
Packed append_packing(StepBuilder& b, std::shared_ptr<Plan> plan, const Tensor& weight,
                      bool trainable, const std::string& name) {
  if (trainable) {
    const Value packed = b.temporary(name, DType::kF32, {plan->packed_count()});
    b.set_role(packed, engine::ValueRole::kAuxiliary);
    b.add({name, "pack weights", {}, {packed}, 0, [plan, &weight, packed](const StepMemory& m) {
             plan->pack(weight.f32(), m.f32(packed));
           }});
    return {packed, nullptr};
  }
  Tensor& packed = b.constant(name, {plan->packed_count()});
  b.add_preparation({name, "pack weights", {}, {}, 0, [plan, &weight, &packed](const StepMemory&) {
                       plan->pack(weight.f32(), packed.f32());
                     }});
  return {std::nullopt, &packed};
}

}  // namespace

Value ConvBn::append_convolution(StepBuilder& b, Value x, bool trainable) const {
  const kernels::ConvGeometry g = geometry(b, x);
  const std::string& name = spec_.conv_name;
  std::shared_ptr<kernels::ConvForward> plan = kernels::plan_conv_forward(b.exec(), g);
  const Packed packed =
      append_packing(b, plan, conv_->parameter("weight").value, trainable, name + " packed");
  const Value z = b.temporary(name + " z", DType::kF32, {g.x.n, g.p(), g.q(), g.k});
  std::vector<Value> reads = {x}, writes = {z};
  if (packed.value) reads.push_back(*packed.value);
  const auto scratch = b.scratch(name + " scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " forward", "conv forward", reads, writes, g.flops(),
         [plan, packed, x, z, scratch](const StepMemory& m) {
           plan->run({.x = m.f32(x),
                      .packed = packed.get(m),
                      .y = m.f32(z),
                      .scratch = scratch ? m.bytes(*scratch) : nullptr});
         }});
  return z;
}

void ConvBn::append_statistics(StepBuilder& b, Forward& f) const {
  const int64_t c = spec_.out_channels;
  const std::string& name = spec_.bn_name;
  Tensor& running_mean = bn_->parameter("running_mean").value;
  Tensor& running_var = bn_->parameter("running_var").value;
  if (!f.batch_statistics) {
    Tensor& inv_std = b.constant(name + " inv_std", {c});
    f.mean_tensor = &running_mean;
    f.inv_tensor = &inv_std;
    b.add_preparation({name + " inv_std",
                       "fold",
                       {},
                       {},
                       0,
                       [exec = b.exec(), c, &running_var, &inv_std,
                        epsilon = attributes_.epsilon](const StepMemory&) {
                         kernels::inverse_std(exec, {c, running_var.f32(), epsilon, inv_std.f32()});
                       }});
    return;
  }
  f.mean_value = b.temporary(name + " mean", DType::kF32, {c});
  f.inv_value = b.temporary(name + " inv_std", DType::kF32, {c});
  b.set_role(*f.mean_value, engine::ValueRole::kStatistic);
  b.set_role(*f.inv_value, engine::ValueRole::kStatistic);
  const int64_t rows = engine::element_count(b.info(f.z).shape) / c;
  std::vector<Value> writes = {*f.mean_value, *f.inv_value};
  std::optional<Value> scratch;
  if (b.exec().device == kernels::DeviceKind::kCuda) {
    scratch = b.temporary(name + " moments", DType::kF32,
                          {kernels::batch_norm_statistics_scratch(rows, c)});
    b.set_role(*scratch, engine::ValueRole::kAuxiliary);
    writes.push_back(*scratch);
  }
  b.add({name + " statistics",
         "batch norm statistics",
         {f.z},
         writes,
         0,
         [exec = b.exec(), f, scratch, rows, c, a = attributes_, &running_mean,
          &running_var](const StepMemory& m) {
           kernels::batch_norm_statistics(
               exec, {.rows = rows,
                      .c = c,
                      .x = m.f32(f.z),
                      .epsilon = a.epsilon,
                      .mean = m.f32(*f.mean_value),
                      .inv_std = m.f32(*f.inv_value),
                      .running_mean = f.move_statistics ? running_mean.f32() : nullptr,
                      .running_var = f.move_statistics ? running_var.f32() : nullptr,
                      .momentum = *f.momentum,
                      .convention = a.running_variance,
                      .scratch = m.f32(scratch)});
         },
         {},
         f.momentum != &attributes_.momentum});
}

void ConvBn::append_normalisation(StepBuilder& b, const ConvBnInputs& in, Forward& f) const {
  const int64_t c = spec_.out_channels;
  const int64_t rows = engine::element_count(b.info(f.z).shape) / c;
  std::vector<Value> reads = {f.z};
  f.add_statistics_to(reads);
  if (in.shortcut) reads.push_back(*in.shortcut);
  b.add({spec_.bn_name + " forward",
         "batch norm forward",
         reads,
         {f.y},
         0,
         [exec = b.exec(), f, rows, c, &gamma = bn_->parameter("weight").value,
          &beta = bn_->parameter("bias").value](const StepMemory& m) {
           kernels::batch_norm_apply(exec, {.rows = rows,
                                            .c = c,
                                            .x = m.f32(f.z),
                                            .mean = f.mean(m),
                                            .inv_std = f.inv_std(m),
                                            .gamma = gamma.f32(),
                                            .beta = beta.f32(),
                                            .shortcut = m.f32(f.in.shortcut),
                                            .relu = f.in.relu,
                                            .y = m.f32(f.y)});
         }});
}

void ConvBn::append_batch_norm_backward(StepBuilder& b, const Forward& f) const {
  const std::vector<Value> dy = b.gradients(f.y);
  if (dy.empty()) return;
  const std::string& name = spec_.bn_name;
  const engine::Shape& shape = b.info(f.y).shape;
  const int64_t c = spec_.out_channels, rows = engine::element_count(shape) / c;
  const bool want_dz = f.train_conv || b.needs_gradient(f.in.x);
  std::optional<Value> dshortcut, dz;
  if (f.in.shortcut && b.needs_gradient(*f.in.shortcut))
    dshortcut = b.in_place(dy[0], name + " dshortcut");
  if (want_dz)
    dz =
        dshortcut ? b.temporary(name + " dx", DType::kF32, shape) : b.in_place(dy[0], name + " dx");
  if (dz) b.mark_gradient(f.z, *dz);
  const Value scratch =
      b.temporary(name + " sums", DType::kF32, {kernels::batch_norm_backward_scratch(rows, c)});
  b.set_role(scratch, engine::ValueRole::kAuxiliary);
  std::vector<Value> reads = dy, writes = {scratch};
  reads.insert(reads.end(), {f.z});
  if (f.in.relu) reads.push_back(f.y);
  f.add_statistics_to(reads);
  if (dshortcut) writes.push_back(*dshortcut);
  if (dz) writes.push_back(*dz);
  engine::Parameter& gamma = bn_->parameter("weight");
  engine::Parameter& beta = bn_->parameter("bias");
  b.add({name + " backward", "batch norm backward", reads, writes, 0,
         [exec = b.exec(), f, dy, dz, dshortcut, scratch, rows, c, &gamma,
          &beta](const StepMemory& m) {
           const GradMode mode = f.train_bn ? GradMode::kOverwrite : GradMode::kSkip;
           kernels::batch_norm_backward(
               exec, {.rows = rows,
                      .c = c,
                      .mode = f.batch_statistics ? kernels::BatchNormMode::kBatchStatistics
                                                 : kernels::BatchNormMode::kRunningStatistics,
                      .dy = m.f32(dy[0]),
                      .dy2 = dy.size() == 2 ? m.f32(dy[1]) : nullptr,
                      .y = f.in.relu ? m.f32(f.y) : nullptr,
                      .x = m.f32(f.z),
                      .mean = f.mean(m),
                      .inv_std = f.inv_std(m),
                      .gamma = gamma.value.f32(),
                      .dgamma = f.train_bn ? gamma.gradient.f32() : nullptr,
                      .dbeta = f.train_bn ? beta.gradient.f32() : nullptr,
                      .dgamma_mode = mode,
                      .dbeta_mode = mode,
                      .dx = m.f32(dz),
                      .dshortcut = m.f32(dshortcut),
                      .scratch = m.f32(scratch)});
         },
         f.train_bn ? std::vector<const Tensor*>{&gamma.gradient, &beta.gradient}
                    : std::vector<const Tensor*>{}});
  if (dz) append_convolution_backward(b, f, *dz);
  if (dshortcut) b.add_gradient(*f.in.shortcut, *dshortcut);
}

void ConvBn::append_convolution_backward(StepBuilder& b, const Forward& f, Value dz) const {
  const Value x = f.in.x;
  const kernels::ConvGeometry g = geometry(b, x);
  const std::string& name = spec_.conv_name;
  engine::Parameter& weight = conv_->parameter("weight");
  if (f.train_conv) {
    std::shared_ptr<kernels::ConvBackwardFilter> plan =
        kernels::plan_conv_backward_filter(b.exec(), g);
    const auto scratch = b.scratch(name + " filter scratch", plan->scratch_bytes());
    std::vector<Value> writes;
    if (scratch) writes.push_back(*scratch);
    b.add({name + " backward filter",
           "conv backward filter",
           {x, dz},
           writes,
           g.flops(),
           [plan, x, dz, scratch, &weight](const StepMemory& m) {
             plan->run({m.f32(x), m.f32(dz), weight.gradient.f32(), GradMode::kOverwrite,
                        scratch ? m.bytes(*scratch) : nullptr});
           },
           {&weight.gradient}});
  }
  if (!b.needs_gradient(x)) return;
  std::shared_ptr<kernels::ConvBackwardData> plan = kernels::plan_conv_backward_data(b.exec(), g);
  const Packed packed =
      append_packing(b, plan, weight.value, f.train_conv, name + " packed for data");
  const Value dx = b.temporary(name + " dx", DType::kF32, b.info(x).shape);
  std::vector<Value> reads = {dz}, writes = {dx};
  if (packed.value) reads.push_back(*packed.value);
  const auto scratch = b.scratch(name + " data scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " backward data", "conv backward data", reads, writes, g.flops(),
         [plan, packed, dz, dx, scratch](const StepMemory& m) {
           plan->run({m.f32(dz), packed.get(m), m.f32(dx), scratch ? m.bytes(*scratch) : nullptr});
         }});
  b.add_gradient(x, dx);
}

}  // namespace verace::layers
