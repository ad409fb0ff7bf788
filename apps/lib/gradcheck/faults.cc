// How each fault is done.
#include "apps/lib/gradcheck/faults.h"

#include <algorithm>
#include <limits>

#include "kernels/check.h"

namespace verace::apps {

using engine::Operation;
using engine::StepMemory;
using engine::Value;
using engine::ValueRole;

const std::vector<FaultDescription>& fault_descriptions() {
  static const std::vector<FaultDescription> all = {
      {Fault::kScaled, "scaled", "gradients of filters and dense weights are 5 % too large"},
      {Fault::kSwapped, "swapped", "height and width of filter gradients are swapped"},
      {Fault::kShifted, "shifted", "gradients of weights stand one element too late"},
      {Fault::kMissingAccumulation, "missing-accumulation",
       "where a value forks, one of its two gradients is lost"},
      {Fault::kForgottenMean, "forgotten-mean", "the loss' gradient lacks its 1/n"},
      {Fault::kConstantStatistics, "constant-statistics",
       "batch norm's gradient takes mean and variance for constants"},
      {Fault::kIgnoredRelu, "ignored-relu", "gradients pass where a (leaky) ReLU was closed"},
      {Fault::kForgottenArea, "forgotten-area", "average pooling's gradient lacks its 1/(h w)"},
      {Fault::kFrozenWritten, "frozen-written", "the gradient of a frozen parameter is written"},
      {Fault::kNan, "nan", "one element of each weight's gradient is not a number"}};
  return all;
}

FaultInjector::FaultInjector(Fault fault, const engine::Step& step, const engine::LayerTable& table,
                             bool mean_loss)
    : fault_(fault), step_(step), table_(table), mean_loss_(mean_loss) {
  for (const Operation& operation : step_.operations()) {
    if (!replaces_gradient(operation)) continue;
    for (const Value v : operation.reads) {
      if (step_.info(v).role == ValueRole::kGradient) gradients_[v.id] = {};
    }
  }
}

// Whether the fault computes what the operation writes anew from the gradients that it reads.
bool FaultInjector::replaces_gradient(const Operation& operation) const {
  if (fault_ == Fault::kConstantStatistics) return operation.kind == "batch norm backward";
  if (fault_ != Fault::kIgnoredRelu) return false;
  return operation.kind == "leaky relu backward" || operation.kind == "relu backward";
}

void FaultInjector::save_gradient(Value v, const StepMemory& memory) {
  const auto saved = gradients_.find(v.id);
  if (saved == gradients_.end()) return;
  saved->second.assign(memory.f32(v), memory.f32(v) + count(v));
}

void FaultInjector::before(const StepMemory& memory) {
  planted_ = false;
  contributions_.clear();
  for (const auto& [id, values] : gradients_) {
    if (step_.info({id}).input) save_gradient({id}, memory);
  }
  if (fault_ != Fault::kFrozenWritten) return;
  for (const auto& layer : table_.layers()) {
    for (const auto& parameter : layer->parameters) {
      if (layer->trainable || parameter->gradient.empty()) continue;
      parameter->gradient.f32()[0] = 1.0F;
      planted_ = true;
    }
  }
}

void FaultInjector::after(const Operation& operation, const StepMemory& memory) {
  if (fault_ == Fault::kNone) return;
  break_parameters(operation);
  break_values(operation, memory);
  for (const Value v : operation.writes) save_gradient(v, memory);
}

void FaultInjector::break_parameters(const Operation& operation) {
  const bool filter = operation.kind == "conv backward filter";
  if (operation.gradients.empty() || (!filter && operation.kind != "dense backward")) return;
  const engine::Tensor& weight = *operation.gradients.front();
  const std::span<float> dw = weight.f32_span();
  if (fault_ == Fault::kScaled) {
    for (float& v : dw) v *= 1.05F;
    planted_ = true;
  }
  if (fault_ == Fault::kShifted && dw.size() > 1) {
    std::rotate(dw.begin(), dw.end() - 1, dw.end());
    planted_ = true;
  }
  if (fault_ == Fault::kNan) {
    dw[dw.size() / 2] = std::numeric_limits<float>::quiet_NaN();
    planted_ = true;
  }
  if (fault_ == Fault::kSwapped && filter && weight.shape()[1] > 1) {
    const int64_t k = weight.shape()[0], r = weight.shape()[1], c = weight.shape()[3];
    VERACE_CHECK(weight.shape()[2] == r);
    for (int64_t i = 0; i < k * r * r * c; ++i) {
      const int64_t channel = i % c, x = i / c % r, y = i / c / r % r, f = i / c / r / r;
      if (x > y) std::swap(dw[i], dw[((f * r + x) * r + y) * c + channel]);
    }
    planted_ = true;
  }
}

void FaultInjector::scale(Value v, const StepMemory& memory, double factor) {
  float* values = memory.f32(v);
  for (int64_t i = 0; i < count(v); ++i) {
    values[i] = static_cast<float>(factor * static_cast<double>(values[i]));
  }
  planted_ = true;
}

void FaultInjector::break_values(const Operation& operation, const StepMemory& memory) {
  switch (fault_) {
    case Fault::kMissingAccumulation:
      return drop_second(operation, memory);
    case Fault::kForgottenMean:
      if (operation.kind != "softmax cross-entropy" || !mean_loss_) return;
      for (const Value v : operation.writes) {
        if (step_.info(v).role != ValueRole::kGradient) continue;
        scale(v, memory, static_cast<double>(step_.info(v).shape[0]));
      }
      return;
    case Fault::kForgottenArea: {
      if (operation.name != "avgpool backward") return;
      const engine::Shape& shape = step_.info(operation.writes[0]).shape;
      return scale(operation.writes[0], memory, static_cast<double>(shape[1] * shape[2]));
    }
    case Fault::kConstantStatistics:
      return without_statistics(operation, memory);
    case Fault::kIgnoredRelu:
      return without_relu(operation, memory);
    default:
      return;
  }
}

void FaultInjector::drop_second(const Operation& operation, const StepMemory& memory) {
  for (const Value v : operation.writes) {
    const int32_t of = step_.info(v).gradient_of;
    if (of < 0 || ++contributions_[of] < 2) continue;
    scale(v, memory, 0.0);
  }
}

// dx = gamma * inv_std * dz, dz being the gradient behind the ReLU.
void FaultInjector::without_statistics(const Operation& operation, const StepMemory& memory) {
  if (!replaces_gradient(operation)) return;
  std::vector<const std::vector<float>*> dy;
  std::vector<Value> activations, statistics;
  for (const Value v : operation.reads) {
    const ValueRole role = step_.info(v).role;
    if (role == ValueRole::kGradient) dy.push_back(&gradients_.at(v.id));
    if (role == ValueRole::kActivation) activations.push_back(v);
    if (role == ValueRole::kStatistic) statistics.push_back(v);
  }
  if (statistics.size() != 2) return;  // running ones are constants
  const Value z = activations.front();
  const float* y = activations.size() == 2 ? memory.f32(activations[1]) : nullptr;
  const engine::Layer& layer = *table_.find(operation.name.substr(0, operation.name.find(' ')));
  const float* gamma = layer.parameter("weight").value.f32();
  const float* inv_std = memory.f32(statistics[1]);
  const int64_t c = step_.info(z).shape.back();
  for (const Value dx : operation.writes) {
    if (step_.info(dx).gradient_of != z.id) continue;
    for (int64_t i = 0; i < count(dx); ++i) {
      float dz = 0;
      for (const std::vector<float>* part : dy) dz += (*part)[static_cast<size_t>(i)];
      if (y != nullptr && !(y[i] > 0)) dz = 0;
      memory.f32(dx)[i] = gamma[i % c] * inv_std[i % c] * dz;
    }
    planted_ = true;
  }
}

void FaultInjector::without_relu(const Operation& operation, const StepMemory& memory) {
  if (!replaces_gradient(operation)) return;
  const Value dz = operation.writes.front();
  std::fill_n(memory.f32(dz), count(dz), 0.0F);
  for (const Value v : operation.reads) {
    if (step_.info(v).role != ValueRole::kGradient) continue;
    const std::vector<float>& dy = gradients_.at(v.id);
    for (size_t i = 0; i < dy.size(); ++i) memory.f32(dz)[i] += dy[i];
  }
  planted_ = true;
}

}  // namespace verace::apps
