// A filter in the form that the convolutions of a step read: packed, converted, or as it is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/step.h"

namespace verace::layers {

struct PackedFilter {
  std::optional<engine::Value> value;      // written by an operation of the step, or
  const engine::Tensor* tensor = nullptr;  // prepared, or the fp32 weights themselves
  bool keeps_layout = false;               // [k, r, s, c]: serves every plan that keeps the layout

  template <typename T>
  const T* get(const engine::StepMemory& m) const {
    return value ? m.as<T>(*value) : tensor->as<T>();
  }
  void add_to(std::vector<engine::Value>& reads) const {
    if (value) reads.push_back(*value);
  }
};

// The form of `weight` that `plan`, a ConvForwardOf<T> or a ConvBackwardDataOf<T>, reads: prepared
// once if frozen, else packed by an operation of every step; no copy where the plan reads fp32
// weights as they are.
template <typename T, typename Plan>
PackedFilter append_packing(engine::StepBuilder& b, std::shared_ptr<Plan> plan,
                            const engine::Tensor& weight, bool trainable, const std::string& name) {
  const bool keeps_layout = plan->keeps_layout();
  if (std::is_same_v<T, float> && keeps_layout) return {std::nullopt, &weight, true};
  const engine::DType dtype = engine::dtype_of<T>();
  if (trainable) {
    const engine::Value packed = b.temporary(name, dtype, {plan->packed_count()});
    b.set_role(packed, engine::ValueRole::kAuxiliary);
    b.add({name,
           "pack weights",
           {},
           {packed},
           0,
           [plan, &weight, packed](const engine::StepMemory& m) {
             plan->pack(weight.f32(), m.as<T>(packed));
           }});
    return {packed, nullptr, keeps_layout};
  }
  engine::Tensor& packed = b.constant(name, {plan->packed_count()}, dtype);
  b.add_preparation(
      {name, "pack weights", {}, {}, 0, [plan, &weight, &packed](const engine::StepMemory&) {
         plan->pack(weight.f32(), packed.as<T>());
       }});
  return {std::nullopt, &packed, keeps_layout};
}

}  // namespace verace::layers
