// One step of training, and the search for the cause when its loss is not finite.

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "apps/lib/metrics.h"
#include "apps/lib/session.h"
#include "engine/staging.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

int64_t not_finite(std::span<const float> values) {
  return std::ranges::count_if(values, [](float v) { return !std::isfinite(v); });
}

// Ends a run early.
struct Found {};

}  // namespace

TrainingSession::TrainingSession(layers::Classifier& classifier, optim::Adam& adam,
                                 const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena,
                                 TrainingSessionOptions options)
    : classifier_(classifier),
      adam_(adam),
      exec_(exec),
      options_(std::move(options)),
      arena_(std::move(arena)),
      plans_([this](int64_t n) {
        layers::TrainingOptions plan;
        plan.build = {.training = true, .frozen_batch_norm = options_.frozen_batch_norm};
        plan.loss = options_.loss;
        plan.class_weight = options_.class_weight;
        plan.gradient_scale = adam_.gradient_scale();
        plan.append_update = [this](engine::StepBuilder& builder, engine::Value loss) {
          // Last before the update, so that a loss that is not finite leaves weights and moments as
          // they were and the cause can be looked for.
          adam_.append_check(builder, {loss});
          adam_.append_update(builder);
        };
        return classifier_.plan_training(exec_, arena_, n, plan);
      }) {}

struct TrainingSession::Inputs {
  std::vector<int32_t> outputs;  // the labels in the network's order of classes
  std::array<std::span<const std::byte>, 3> bytes;
};

TrainingSession::Inputs TrainingSession::inputs_of(const data::Batch& batch) const {
  Inputs inputs;
  inputs.outputs.resize(batch.labels.size());
  std::ranges::transform(batch.labels, inputs.outputs.begin(), [this](int32_t label) {
    return label == 1 ? options_.fake_class : 1 - options_.fake_class;
  });
  inputs.bytes = {std::as_bytes(std::span(batch.pixels)), std::as_bytes(std::span(batch.flip)),
                  std::as_bytes(std::span(inputs.outputs))};
  return inputs;
}

namespace {

std::array<engine::Value, 3> values_of(const layers::TrainingStep& plan) {
  return {plan.pictures, plan.flip, plan.labels};
}

}  // namespace

const engine::Step& TrainingSession::plan(int64_t n) {
  VERACE_CHECK(running_ == nullptr, "planning may drop the plan of the step that runs");
  const layers::TrainingStep& plan = plans_.at(n);
  if constexpr (kernels::have_cuda) {
    if (engine::memory_of(exec_) == engine::MemoryKind::kDevice && !staging_) {
      std::vector<int64_t> sizes;
      for (const engine::Value v : values_of(plan)) sizes.push_back(plan.step.info(v).bytes());
      staging_ = std::make_shared<engine::Staging>(exec_, std::move(sizes));
    }
  }
  return plan.step;
}

void TrainingSession::release() {
  running_ = nullptr;
  plans_.clear();
  staging_.reset();
  staged_ = nullptr;
  *arena_ = engine::Arena();
}

TrainingOutcome TrainingSession::run(const data::Batch& batch, const std::string& where) {
  start(batch);
  return finish(where);
}

void TrainingSession::start(const data::Batch& batch) {
  const auto n = static_cast<int64_t>(batch.labels.size());
  VERACE_CHECK(n > 0 && batch.flip.size() == batch.labels.size());
  running_ = &plans_.at(n);
  batch_ = &batch;
  deliver_or_write(*running_, batch);
  running_->step.run(trace_);
}

void TrainingSession::stage([[maybe_unused]] const data::Batch& next) {
  if constexpr (kernels::have_cuda) {
    VERACE_CHECK(running_ != nullptr);
    if (engine::memory_of(exec_) != engine::MemoryKind::kDevice) return;
    if (!staging_) return;
    const Inputs inputs = inputs_of(next);
    const auto fits = [](std::span<const std::byte> bytes, int64_t size) {
      return static_cast<int64_t>(bytes.size()) == size;
    };
    // The last batch of an epoch may be smaller.
    if (!std::ranges::equal(inputs.bytes, staging_->sizes(), fits)) return;
    staging_->stage(inputs.bytes);
    staged_ = &next;
  }
}

// What was staged is this batch, or nothing is.
void TrainingSession::deliver_or_write(const layers::TrainingStep& plan, const data::Batch& batch) {
  if constexpr (kernels::have_cuda) {
    if (staged_ != nullptr) {
      VERACE_CHECK(staged_ == &batch, "another batch was staged");
      staged_ = nullptr;
      return staging_->deliver(plan.step, values_of(plan));
    }
  }
  write_inputs(plan, batch);
}

void TrainingSession::write_inputs(const layers::TrainingStep& plan,
                                   const data::Batch& batch) const {
  const Inputs inputs = inputs_of(batch);
  const auto values = values_of(plan);
  for (size_t i = 0; i < values.size(); ++i) plan.step.write(values[i], inputs.bytes[i]);
}

TrainingOutcome TrainingSession::finish(const std::string& where) {
  VERACE_CHECK(running_ != nullptr);
  const layers::TrainingStep& plan = *std::exchange(running_, nullptr);
  const data::Batch& batch = *batch_;
  const auto n = static_cast<int64_t>(batch.labels.size());
  const std::vector<float> losses = plan.step.read_f32(plan.loss);
  if (const int64_t bad = not_finite(losses); bad > 0) {
    write_inputs(plan, batch);
    fail_input(text::format(
        "{}: the loss of {} of {} pictures is not finite; {}; use a smaller --lr, or other weights",
        where, bad, n, first_not_finite(plan.step)));
  }
  const std::vector<float> probabilities = plan.step.read_f32(plan.probabilities);
  TrainingOutcome outcome;
  outcome.count = n;
  const int64_t classes = classifier_.options().classes;
  for (size_t i = 0; i < losses.size(); ++i) {
    outcome.loss_sum += losses[i];
    const bool fake = is_fake(
        probabilities[i * static_cast<size_t>(classes) + static_cast<size_t>(options_.fake_class)]);
    outcome.correct += fake == (batch.labels[i] == 1);
  }
  return outcome;
}

// The first such parameter and how much of it; empty: none. No statistics: a failed step has moved
// them.
std::string TrainingSession::parameter_not_finite() const {
  for (const engine::Parameter* parameter : classifier_.table().parameters()) {
    if (parameter->statistic) continue;
    const int64_t bad = not_finite(engine::read(parameter->value));
    if (bad > 0) {
      return text::format("{} of {} values of parameter {} are not finite", bad,
                          parameter->value.count(), parameter->name);
    }
  }
  return {};
}

void TrainingSession::check_parameters(const std::string& where) const {
  const std::string bad = parameter_not_finite();
  if (bad.empty()) return;
  fail_input(text::format("{}: {}; nothing of it is stored: use a smaller --lr, or other weights",
                          where, bad));
}

// The first cause in the order of the computation: a parameter, else an operation's output. Runs
// the step's forward part again.
std::string TrainingSession::first_not_finite(const engine::Step& step) const {
  if (std::string bad = parameter_not_finite(); !bad.empty()) return bad;
  std::string cause = "no layer's output shows why";
  const auto look = [&](const engine::Operation& operation, const engine::StepMemory&) {
    // Packed copies of finite parameters are finite; their padding may hold anything.
    if (operation.kind == "pack weights") return;
    if (operation.kind == "check") throw Found{};  // the end of the pass
    for (const engine::Value value : operation.writes) {
      const engine::ValueInfo& info = step.info(value);
      if (!engine::is_real(info.dtype)) continue;
      const int64_t bad = not_finite(step.read_f32(value));
      if (bad == 0) continue;
      cause = text::format("the first such output is that of {} ({} of {} values of {})",
                           operation.name, bad, engine::element_count(info.shape), info.name);
      throw Found{};
    }
  };
  try {
    step.run(nullptr, look);
  } catch (const Found&) {
  }
  return cause;
}

}  // namespace verace::apps
