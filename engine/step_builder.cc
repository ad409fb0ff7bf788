// Building and planning a step.
#include <utility>

#include "engine/placement.h"
#include "engine/precision.h"
#include "engine/step.h"
#include "engine/with_storage.h"
#include "kernels/activation.h"
#include "kernels/check.h"

namespace verace::engine {

Value StepBuilder::new_value(ValueInfo info) {
  const Value v{static_cast<int32_t>(values_.size())};
  if (info.storage < 0) info.storage = v.id;
  values_.push_back(std::move(info));
  gradients_.emplace_back();
  return v;
}

Value StepBuilder::input(const std::string& name, DType dtype, Shape shape) {
  return new_value({name, dtype, std::move(shape), /*input=*/true, /*kept=*/true});
}

Value StepBuilder::temporary(const std::string& name, DType dtype, Shape shape) {
  return new_value({name, dtype, std::move(shape)});
}

std::optional<Value> StepBuilder::scratch(const std::string& name, int64_t bytes) {
  if (bytes == 0) return std::nullopt;
  const Value v = temporary(name, DType::kU8, {bytes});
  set_role(v, ValueRole::kAuxiliary);
  return v;
}

Value StepBuilder::in_place(Value old, const std::string& name) {
  ValueInfo copy = info(old);
  copy.name = name;
  copy.needs_gradient = false;
  copy.gradient_of = -1;
  return new_value(std::move(copy));
}

void StepBuilder::set_role(Value v, ValueRole role) {
  values_[static_cast<size_t>(v.id)].role = role;
}

void StepBuilder::mark_gradient(Value of, Value gradient) {
  ValueInfo& info = values_[static_cast<size_t>(gradient.id)];
  info.role = ValueRole::kGradient;
  info.gradient_of = of.id;
}

void StepBuilder::keep(Value v) { values_[static_cast<size_t>(storage(v))].kept = true; }

Tensor& StepBuilder::constant(const std::string& name, Shape shape, DType dtype) {
  constants_.push_back(std::make_unique<Tensor>(name, dtype, std::move(shape), memory_of(exec_)));
  return *constants_.back();
}

void StepBuilder::set_needs_gradient(Value v, bool needed) {
  values_[static_cast<size_t>(v.id)].needs_gradient = needed;
}

void StepBuilder::add_gradient(Value of, Value gradient) {
  VERACE_CHECK(info(of).shape == info(gradient).shape, info(of).name);
  VERACE_CHECK(info(of).dtype == info(gradient).dtype, info(of).name);
  mark_gradient(of, gradient);
  gradients_[static_cast<size_t>(of.id)].push_back(gradient);
}

std::vector<Value> StepBuilder::gradients(Value of) {
  // A copy: in_place() below adds values, which may move gradients_.
  std::vector<Value> parts = gradients_[static_cast<size_t>(of.id)];
  while (parts.size() > 2) {
    const Value b = parts.back();
    parts.pop_back();
    const Value a = parts.back();
    const Value sum = in_place(a, info(of).name + " gradient sum");
    const int64_t count = element_count(info(of).shape);
    with_storage(info(of).dtype, [&]<typename T>(T) {
      add({info(of).name + " gradient sum",
           "add",
           {a, b},
           {sum},
           0,
           [exec = exec_, a, b, sum, count](const StepMemory& m) {
             kernels::add<T>(exec, {count, m.as<T>(a), m.as<T>(b), false, m.as<T>(sum)});
           }});
    });
    parts.back() = sum;
  }
  gradients_[static_cast<size_t>(of.id)] = parts;
  return parts;
}

void StepBuilder::backward() {
  while (!tape_.empty()) {
    const std::function<void()> append = std::move(tape_.back());
    tape_.pop_back();
    append();
  }
}

namespace {

// First write and last use of every storage, in numbers of operations.
struct Uses {
  std::vector<int32_t> first, last;
};

Uses lifetimes_of(const std::deque<ValueInfo>& values, const std::vector<Operation>& operations) {
  const auto end = static_cast<int32_t>(operations.size());
  Uses uses{std::vector<int32_t>(values.size(), -1), std::vector<int32_t>(values.size(), -1)};
  std::vector<int32_t> owner(values.size(), -1);  // by storage: the value that it holds now
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].kept || values[i].storage != static_cast<int32_t>(i)) continue;
    uses.first[i] = 0;
    uses.last[i] = end;
    if (values[i].input) owner[i] = static_cast<int32_t>(i);
  }
  for (int32_t time = 0; time < end; ++time) {
    const Operation& operation = operations[static_cast<size_t>(time)];
    for (Value v : operation.reads) {
      const auto s = static_cast<size_t>(values[static_cast<size_t>(v.id)].storage);
      VERACE_CHECK(owner[s] == v.id, operation.name + " reads " +
                                         values[static_cast<size_t>(v.id)].name +
                                         ", which is not written yet or already overwritten");
      uses.last[s] = std::max(uses.last[s], time);
    }
    for (Value v : operation.writes) {
      const auto s = static_cast<size_t>(values[static_cast<size_t>(v.id)].storage);
      owner[s] = v.id;
      if (uses.first[s] < 0) uses.first[s] = time;
      uses.last[s] = std::max(uses.last[s], time);
    }
  }
  return uses;
}

}  // namespace

Step StepBuilder::plan(std::shared_ptr<Arena> arena) && {
  Uses uses = lifetimes_of(values_, operations_);
  std::vector<Lifetime> lifetimes;
  std::vector<size_t> placed;
  Step step;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (uses.first[i] < 0) continue;  // never used, or an alias
    lifetimes.push_back({values_[i].bytes(), uses.first[i], uses.last[i]});
    placed.push_back(i);
    step.summary_.unshared += align_up(values_[i].bytes());
  }
  const Placement placement = place(lifetimes);
  step.offsets_.assign(values_.size(), 0);
  for (size_t i = 0; i < placed.size(); ++i) step.offsets_[placed[i]] = placement.offsets[i];
  for (size_t i = 0; i < values_.size(); ++i) {
    step.offsets_[i] = step.offsets_[static_cast<size_t>(values_[i].storage)];
  }
  for (const Operation& operation : operations_) step.summary_.flops += operation.flops;
  for (const auto& constant : constants_) step.summary_.constants += constant->bytes();
  step.summary_.operations = static_cast<int64_t>(operations_.size());
  step.summary_.values = static_cast<int64_t>(placed.size());
  step.summary_.arena = placement.bytes;
  arena->reserve(placement.bytes, memory_of(exec_));
  step.exec_ = exec_;
  step.arena_ = std::move(arena);
  step.operations_ = std::move(operations_);
  step.preparations_ = std::move(preparations_);
  step.values_ = std::move(values_);
  step.constants_ = std::move(constants_);
  step.first_use_ = std::move(uses.first);
  step.last_use_ = std::move(uses.last);
  return step;
}

}  // namespace verace::engine
