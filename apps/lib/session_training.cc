// One step of training, and the search for the cause when its loss is not finite.

#include <algorithm>
#include <cmath>

#include "apps/lib/metrics.h"
#include "apps/lib/session.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/reduce.h"

namespace verace::apps {
namespace {

// What the check inside a step throws; run() turns it into a message with a cause.
struct LossNotFinite {
  int64_t pictures = 0;
};

int64_t not_finite(const kernels::Exec& exec, const float* values, int64_t count) {
  int64_t bad = 0;
  kernels::count_non_finite(exec, {count, values, &bad});
  return bad;
}

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
        plan.append_update = [this](engine::StepBuilder& builder) {
          // Last before the update, so that a loss that is not finite leaves weights and moments as
          // they were and the cause can be looked for.
          builder.add({"check loss", "check", {}, {}, 0, [this](const engine::StepMemory& memory) {
                         check_losses(memory);
                       }});
          adam_.append_update(builder);
        };
        return classifier_.plan_training(exec_, arena_, n, plan);
      }) {}

const engine::Step& TrainingSession::plan(int64_t n) { return plans_.at(n).step; }

void TrainingSession::release() {
  plans_.clear();
  *arena_ = engine::Arena();
}

void TrainingSession::check_losses(const engine::StepMemory& memory) const {
  VERACE_CHECK(running_ != nullptr);
  const int64_t n = running_->step.info(running_->loss).shape[0];
  const int64_t bad = not_finite(exec_, memory.f32(running_->loss), n);
  if (bad > 0) throw LossNotFinite{bad};
}

TrainingOutcome TrainingSession::run(const data::Batch& batch, const std::string& where) {
  const auto n = static_cast<int64_t>(batch.labels.size());
  VERACE_CHECK(n > 0 && batch.flip.size() == batch.labels.size());
  layers::TrainingStep& plan = plans_.at(n);
  running_ = &plan;
  const engine::StepMemory memory = plan.step.memory();
  VERACE_CHECK(static_cast<int64_t>(batch.pixels.size()) == plan.step.info(plan.pictures).bytes());
  const auto write_inputs = [&] {
    std::ranges::copy(batch.pixels, memory.u8(plan.pictures));
    std::ranges::copy(batch.flip, memory.u8(plan.flip));
    std::ranges::transform(batch.labels, memory.i32(plan.labels), [this](int32_t label) {
      return label == 1 ? options_.fake_class : 1 - options_.fake_class;
    });
  };
  write_inputs();
  try {
    plan.step.run(trace_);
  } catch (const LossNotFinite& fault) {
    write_inputs();
    const std::string cause = first_not_finite();
    fail_input(text::format(
        "{}: the loss of {} of {} pictures is not finite; {}; use a smaller --lr, or other weights",
        where, fault.pictures, n, cause));
  }
  TrainingOutcome outcome;
  outcome.count = n;
  const float* losses = memory.f32(plan.loss);
  const float* probabilities = memory.f32(plan.probabilities);
  const int64_t classes = classifier_.options().classes;
  for (int64_t i = 0; i < n; ++i) {
    outcome.loss_sum += losses[i];
    const bool fake = is_fake(probabilities[i * classes + options_.fake_class]);
    outcome.correct += fake == (batch.labels[static_cast<size_t>(i)] == 1);
  }
  return outcome;
}

// The first such parameter and how much of it; empty: none. No statistics: a failed step has moved
// them.
std::string TrainingSession::parameter_not_finite() const {
  for (const engine::Parameter* parameter : classifier_.table().parameters()) {
    if (parameter->statistic) continue;
    const int64_t bad = not_finite(exec_, parameter->value.f32(), parameter->value.count());
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
std::string TrainingSession::first_not_finite() {
  if (std::string bad = parameter_not_finite(); !bad.empty()) return bad;
  const engine::Step& step = running_->step;
  std::string cause = "no layer's output shows why";
  const auto look = [&](const engine::Operation& operation, const engine::StepMemory& memory) {
    // Packed copies of finite parameters are finite; their padding may hold anything.
    if (operation.kind == "pack weights") return;
    for (const engine::Value value : operation.writes) {
      const engine::ValueInfo& info = step.info(value);
      if (info.dtype != engine::DType::kF32) continue;
      const int64_t count = engine::element_count(info.shape);
      const int64_t bad = not_finite(exec_, memory.f32(value), count);
      if (bad == 0) continue;
      cause = text::format("the first such output is that of {} ({} of {} values of {})",
                           operation.name, bad, count, info.name);
      throw LossNotFinite{};
    }
  };
  try {
    step.run(nullptr, look);
  } catch (const LossNotFinite&) {
    return cause;  // found, or the step's own check at the end of the pass
  }
  return cause;
}

}  // namespace verace::apps
