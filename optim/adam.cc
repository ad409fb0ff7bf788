// The moments of Adam and its one operation.
#include "optim/adam.h"

#include "engine/transfer.h"
#include "kernels/adam.h"
#include "kernels/check.h"
#include "kernels/loss_scale.h"

namespace verace::optim {

Adam::Adam(engine::LayerTable& table, const AdamOptions& options)
    : options_(options),
      state_("adam state", engine::DType::kU8, {static_cast<int64_t>(sizeof(State))},
             table.memory()) {
  VERACE_CHECK(options.learning_rate > 0 && options.epsilon > 0);
  const State first{};
  engine::write_bytes(state_, &first, sizeof(first));
  for (engine::Parameter* parameter : table.trainable_parameters()) {
    const auto zeros = [&](const char* what) {
      return engine::Tensor(parameter->name + what, engine::DType::kF32, parameter->value.shape(),
                            table.memory());
    };
    moments_.push_back({parameter, zeros(" m"), zeros(" v")});
  }
}

Adam::State Adam::read_state() const {
  State now{};
  engine::read_bytes(state_, &now, sizeof(now));
  return now;
}

int64_t Adam::step() const { return read_state().steps; }

void Adam::set_step(int64_t step) {
  VERACE_CHECK(step >= 0);
  State now = read_state();
  now.steps = step;
  engine::write_bytes(state_, &now, sizeof(now));
}

const float* Adam::gradient_scale() const {
  return options_.loss_scale ? &state()->scale.scale : nullptr;
}

kernels::LossScaleState Adam::loss_scale() const {
  VERACE_CHECK(options_.loss_scale.has_value());
  return read_state().scale;
}

void Adam::set_loss_scale(const kernels::LossScaleState& scale) {
  VERACE_CHECK(options_.loss_scale.has_value() && scale.scale > 0 && scale.skipped >= 0);
  State now = read_state();
  now.scale = scale;
  engine::write_bytes(state_, &now, sizeof(now));
}

void Adam::append_check(engine::StepBuilder& builder, const std::vector<engine::Value>& values) {
  std::vector<int64_t> counts;
  for (const engine::Value v : values) {
    VERACE_CHECK(builder.info(v).dtype == engine::DType::kF32, builder.info(v).name);
    counts.push_back(engine::element_count(builder.info(v).shape));
  }
  builder.add({"check",
               "check",
               values,
               {},
               0,
               [exec = builder.exec(), state = state(), values,
                counts = std::move(counts)](const engine::StepMemory& m) {
                 std::vector<kernels::ConstStorageTensor> tensors;
                 for (size_t i = 0; i < values.size(); ++i) {
                   tensors.push_back({m.f32(values[i]), counts[i]});
                 }
                 engine::fill_zero(exec, &state->left_out, sizeof(state->left_out));
                 kernels::find_non_finite(exec, {tensors, &state->left_out});
               }});
}

void Adam::append_update(engine::StepBuilder& builder) {
  VERACE_CHECK(state_.memory() == engine::memory_of(builder.exec()));
  std::vector<kernels::AdamTensor> tensors;
  for (const Moments& entry : moments_) {
    tensors.push_back({entry.parameter->value.f32(), entry.parameter->gradient.any(), entry.m.f32(),
                       entry.v.f32(), entry.parameter->value.count()});
  }
  kernels::AdamAdvance advance{options_.placement, options_.learning_rate, options_.beta1,
                               options_.beta2, options_.epsilon};
  advance.skip = &state()->left_out;
  advance.steps = &state()->steps;
  advance.factors = &state()->factors;
  if (options_.loss_scale) append_overflow_check(builder);
  builder.add({"adam",
               "adam",
               {},
               {},
               0,
               [exec = builder.exec(), advance, tensors = std::move(tensors),
                scale = gradient_scale()](const engine::StepMemory&) {
                 kernels::adam_advance(exec, advance);
                 kernels::adam_step(exec, {.tensors = tensors,
                                           .live_factors = advance.factors,
                                           .gradient_scale = scale,
                                           .skip = advance.skip});
               }});
  if (!options_.loss_scale) return;
  builder.add({"loss scale",
               "loss scale",
               {},
               {},
               0,
               [exec = builder.exec(), state = state(),
                rule = *options_.loss_scale](const engine::StepMemory&) {
                 kernels::update_loss_scale(exec, {rule, &state->scale, &state->left_out});
               }});
}

void Adam::append_overflow_check(engine::StepBuilder& builder) {
  std::vector<kernels::ConstStorageTensor> gradients;
  for (const Moments& entry : moments_) {
    gradients.push_back({entry.parameter->gradient.any(), entry.parameter->gradient.count()});
  }
  builder.add({"overflow check",
               "overflow check",
               {},
               {},
               0,
               [exec = builder.exec(), state = state(),
                gradients = std::move(gradients)](const engine::StepMemory&) {
                 kernels::find_non_finite(exec, {gradients, &state->left_out});
               }});
}

int64_t Adam::bytes() const {
  int64_t bytes = 0;
  for (const Moments& entry : moments_) bytes += entry.m.bytes() + entry.v.bytes();
  return bytes;
}

}  // namespace verace::optim
