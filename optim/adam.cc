// The moments of Adam and its one operation.
#include "optim/adam.h"

#include "kernels/check.h"

namespace verace::optim {

Adam::Adam(engine::LayerTable& table, const AdamOptions& options) : options_(options) {
  VERACE_CHECK(options.learning_rate > 0 && options.epsilon > 0);
  for (engine::Parameter* parameter : table.trainable_parameters()) {
    const engine::Shape& shape = parameter->value.shape();
    moments_.push_back({parameter,
                        engine::Tensor(parameter->name + " m", engine::DType::kF32, shape),
                        engine::Tensor(parameter->name + " v", engine::DType::kF32, shape)});
  }
}

void Adam::append_update(engine::StepBuilder& builder) {
  std::vector<kernels::AdamTensor> tensors;
  for (const Moments& entry : moments_) {
    tensors.push_back({entry.parameter->value.f32(), entry.parameter->gradient.f32(), entry.m.f32(),
                       entry.v.f32(), entry.parameter->value.count()});
  }
  builder.add(
      {"adam",
       "adam",
       {},
       {},
       0,
       [this, exec = builder.exec(), tensors = std::move(tensors)](const engine::StepMemory&) {
         ++step_;
         const kernels::AdamFactors factors =
             kernels::adam_factors(options_.placement, options_.learning_rate, options_.beta1,
                                   options_.beta2, options_.epsilon, step_);
         kernels::adam_step(exec, {tensors, factors});
       }});
}

int64_t Adam::bytes() const {
  int64_t bytes = 0;
  for (const Moments& entry : moments_) bytes += entry.m.bytes() + entry.v.bytes();
  return bytes;
}

}  // namespace verace::optim
