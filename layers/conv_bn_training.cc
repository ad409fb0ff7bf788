// Convolution and batch norm, unfolded: the form of which something is trained (or normalised with
// batch statistics). The convolution is in conv_bn_convolution.cc.
#include "engine/precision.h"
#include "engine/with_storage.h"
#include "kernels/batch_norm.h"
#include "kernels/check.h"
#include "layers/conv_bn_forward.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;
using kernels::GradMode;

Value ConvBn::append_unfolded(StepBuilder& b, const BuildOptions& options,
                              const ConvBnInputs& in) const {
  return engine::with_storage(b.info(in.x).dtype,
                              [&]<typename T>(T) { return append_unfolded_of<T>(b, options, in); });
}

template <typename T>
Value ConvBn::append_unfolded_of(StepBuilder& b, const BuildOptions& options,
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
  append_convolution(b, f);
  append_statistics<T>(b, f);
  const bool needed = f.train_conv || f.train_bn || b.needs_gradient(in.x) ||
                      (in.shortcut && b.needs_gradient(*in.shortcut));
  if (in.shortcut && in.overwrite_shortcut) {
    f.y = b.in_place(*in.shortcut, spec_.conv_name + " output");
  } else if (needed) {
    f.y = b.temporary(spec_.conv_name + " output", engine::dtype_of<T>(), b.info(f.z).shape);
  } else {
    f.y = b.in_place(f.z, spec_.conv_name + " output");
  }
  append_normalisation<T>(b, in, f);
  if (needed) {
    b.set_needs_gradient(f.y);
    b.on_backward([this, &b, f] { append_batch_norm_backward<T>(b, f); });
  }
  return f.y;
}

template <typename T>
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
           kernels::batch_norm_statistics<T>(
               exec, {.rows = rows,
                      .c = c,
                      .x = m.as<T>(f.z),
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

template <typename T>
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
           kernels::batch_norm_apply<T>(exec, {.rows = rows,
                                               .c = c,
                                               .x = m.as<T>(f.z),
                                               .mean = f.mean(m),
                                               .inv_std = f.inv_std(m),
                                               .gamma = gamma.f32(),
                                               .beta = beta.f32(),
                                               .shortcut = m.as<T>(f.in.shortcut),
                                               .relu = f.in.relu,
                                               .y = m.as<T>(f.y)});
         }});
}

template <typename T>
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
    dz = dshortcut ? b.temporary(name + " dx", engine::dtype_of<T>(), shape)
                   : b.in_place(dy[0], name + " dx");
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
           kernels::batch_norm_backward<T>(
               exec, {.rows = rows,
                      .c = c,
                      .mode = f.batch_statistics ? kernels::BatchNormMode::kBatchStatistics
                                                 : kernels::BatchNormMode::kRunningStatistics,
                      .dy = m.as<T>(dy[0]),
                      .dy2 = dy.size() == 2 ? m.as<T>(dy[1]) : nullptr,
                      .y = f.in.relu ? m.as<T>(f.y) : nullptr,
                      .x = m.as<T>(f.z),
                      .mean = f.mean(m),
                      .inv_std = f.inv_std(m),
                      .gamma = gamma.value.f32(),
                      .dgamma = f.train_bn ? gamma.gradient.f32() : nullptr,
                      .dbeta = f.train_bn ? beta.gradient.f32() : nullptr,
                      .dgamma_mode = mode,
                      .dbeta_mode = mode,
                      .dx = m.as<T>(dz),
                      .dshortcut = m.as<T>(dshortcut),
                      .scratch = m.f32(scratch)});
         },
         f.train_bn ? std::vector<const Tensor*>{&gamma.gradient, &beta.gradient}
                    : std::vector<const Tensor*>{}});
  if (dz) append_convolution_backward(b, f, *dz);
  if (dshortcut) b.add_gradient(*f.in.shortcut, *dshortcut);
}

}  // namespace verace::layers
