// Running one layer and collecting what it computed.
#include "apps/lib/gradcheck/workbench.h"

#include <bit>
#include <cmath>

#include "engine/rng.h"
#include "kernels/check.h"

namespace verace::apps {
namespace {

using engine::StepMemory;
using engine::Tensor;
using engine::Value;

constexpr uint32_t kCanary = 0x7fc0d1e5;  // a NaN

void draw(std::span<float> values, uint64_t seed, const std::string& name, float low, float high) {
  const engine::Philox random(seed, engine::stream_of(name));
  for (size_t i = 0; i < values.size(); ++i) values[i] = low + (high - low) * random.uniform(i);
}

exact::Values wide(std::span<const float> values) { return {values.begin(), values.end()}; }

std::string last_word(const std::string& name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

void fill_with_canaries(const Tensor& gradient) {
  std::ranges::fill(gradient.f32_span(), std::bit_cast<float>(kCanary));
}

bool holds_only_canaries(const Tensor& gradient) {
  for (const float v : gradient.f32_span()) {
    if (std::bit_cast<uint32_t>(v) != kCanary) return false;
  }
  return true;
}

void add_parameters(Subject& subject, const engine::LayerTable& table) {
  for (const auto& layer : table.layers()) {
    for (const auto& parameter : layer->parameters) {
      Quantity q{layer->name, last_word(parameter->name), parameter->value.shape()};
      if (layer->kind == engine::LayerKind::kBatchNorm) {
        q.label = q.tensor == "weight" ? "gamma" : "beta";
      }
      if (parameter->statistic) {
        q.wanted = Wanted::kConstant;
      } else if (layer->trainable) {
        q.gradient.assign(parameter->gradient.f32_span().begin(),
                          parameter->gradient.f32_span().end());
      } else {
        q.wanted = Wanted::kFrozen;
        q.written = !holds_only_canaries(parameter->gradient);
      }
      subject.quantities.push_back(std::move(q));
      subject.point.push_back(wide(parameter->value.f32_span()));
    }
  }
}

void Workbench::draw_parameters() {
  for (const auto& layer : table_.layers()) {
    for (const auto& parameter : layer->parameters) {
      const std::span<float> values = parameter->value.f32_span();
      const engine::Shape& shape = parameter->value.shape();
      float low = -0.5F, high = 0.5F;
      if (shape.size() > 1) {
        const auto fan_in = static_cast<double>(parameter->value.count() / shape[0]);
        high = static_cast<float>(std::sqrt(3 / fan_in));
        low = -high;
      } else if (layer->kind == engine::LayerKind::kBatchNorm &&
                 (parameter->name.ends_with("weight") || parameter->name.ends_with("var"))) {
        low = 0.5F;
        high = 1.5F;
      }
      draw(values, context_.seed, parameter->name, low, high);
      if (parameter->statistic) continue;
      parameter->gradient = Tensor(parameter->name + " gradient", engine::DType::kF32, shape);
      fill_with_canaries(parameter->gradient);
    }
  }
}

Value Workbench::input(const std::string& name, engine::Shape shape) {
  const Value v = builder_.input(name, engine::DType::kF32, std::move(shape));
  builder_.set_needs_gradient(v);
  inputs_.emplace_back(name, v);
  return v;
}

Subject Workbench::run(const std::string& name, const std::string& group, Value y,
                       const Forward& forward) {
  dy_ = builder_.input("dy", engine::DType::kF32, builder_.info(y).shape);
  builder_.add_gradient(y, dy_);
  Subject subject;
  subject.name = name;
  subject.group = group;
  return finish(std::move(subject), forward);
}

Subject Workbench::run_loss(const std::string& name, const std::string& group,
                            const Forward& forward) {
  Subject subject;
  subject.name = name;
  subject.group = group;
  return finish(std::move(subject), forward);
}

Subject Workbench::finish(Subject subject, const Forward& forward) {
  builder_.backward();
  std::map<std::string, std::vector<Value>> gradients;
  for (const auto& [name, v] : inputs_) {
    for (const Value part : gradients[name] = builder_.gradients(v)) builder_.keep(part);
  }
  engine::Step step = std::move(builder_).plan(std::make_shared<engine::Arena>());
  step.prepare();
  const StepMemory memory = step.memory();
  const auto span_of = [&](Value v) {
    const int64_t count = engine::element_count(step.info(v).shape);
    return std::span<float>(memory.f32(v), static_cast<size_t>(count));
  };
  for (const auto& [name, v] : inputs_) {
    draw(span_of(v), context_.seed, subject.name + name, -1, 1);
    subject.quantities.push_back({subject.group, name, step.info(v).shape});
    subject.point.push_back(wide(span_of(v)));
  }
  exact::Values weights;  // of the outputs
  if (dy_.id >= 0) {
    draw(span_of(dy_), context_.seed, subject.name + "dy", -1, 1);
    weights = wide(span_of(dy_));
  }
  FaultInjector injector(context_.fault, step, table_, true);
  injector.before(memory);
  step.run(nullptr, [&](const engine::Operation& operation, const StepMemory& m) {
    injector.after(operation, m);
  });
  if (context_.planted != nullptr) *context_.planted |= injector.planted();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    std::vector<float>& sum = subject.quantities[i].gradient;
    sum.assign(subject.point[i].size(), 0.0F);
    for (const Value part : gradients[inputs_[i].first]) {
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += memory.f32(part)[j];
    }
  }
  add_parameters(subject, table_);
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < subject.quantities.size(); ++i) {
    const Quantity& q = subject.quantities[i];
    index[i < inputs_.size() ? q.tensor : q.layer + "." + q.tensor] = i;
  }
  subject.function = [forward, index, weights](const Point& point, exact::Decisions& decisions) {
    const exact::Values y = forward(Named(index, point), decisions);
    if (weights.empty()) return y.at(0);
    VERACE_CHECK(y.size() == weights.size());
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += weights[i] * y[i];
    return sum;
  };
  return subject;
}

}  // namespace verace::apps
