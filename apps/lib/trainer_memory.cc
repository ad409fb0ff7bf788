// Planning the memory of a training run.
#include "apps/lib/trainer_memory.h"

#include <algorithm>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc
#include <optional>

#include "apps/lib/memory_limit.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Batches that wait in a loader (its own window of prefetched ones) and with its reader.
constexpr int64_t kBatchesAhead = 4;

int64_t picture_bytes(const TrainingSetup& setup, int64_t batch) {
  int64_t bytes = 0;
  const int64_t picture = setup.inference->picture_count();
  for (const auto* loader : {setup.train.get(), setup.test.get(), setup.val.get()}) {
    if (loader == nullptr) continue;
    const auto count = static_cast<int64_t>(loader->samples().size());
    bytes += std::min(batch * kBatchesAhead, count) * picture;
    if (loader->cached()) bytes += count * picture;
  }
  return bytes;
}

// Filters and their moments are stored in another order of dimensions (stored_tensor).
int64_t saving_bytes(const engine::LayerTable& table) {
  int64_t bytes = 0;
  for (const auto& layer : table.layers()) {
    if (layer->kind != engine::LayerKind::kConvolution) continue;
    bytes += layer->parameter("weight").value.bytes() * (layer->trainable ? 3 : 1);
  }
  return bytes;
}

// What a step allocates (LayerTable::allocate_gradients).
int64_t gradient_bytes(const TrainingSetup& setup) {
  const engine::DType filters = engine::storage_of(setup.options.precision);
  int64_t bytes = 0;
  for (const auto& entry : setup.adam->moments()) {
    const bool filter = entry.parameter->value.shape().size() == 4;
    bytes += entry.m.count() * engine::size_of(filter ? filters : engine::DType::kF32);
  }
  return bytes;
}

MemoryPlan common_plan(const TrainingSetup& setup, int64_t batch) {
  MemoryPlan plan;
  plan.batch = batch;
  plan.parameters = setup.model.classifier->table().value_bytes();
  plan.adam = setup.adam->bytes();
  plan.gradients = gradient_bytes(setup);
  plan.pictures = picture_bytes(setup, batch);
  plan.saving = saving_bytes(setup.model.classifier->table());
  return plan;
}

void add_plans(const TrainingSetup& setup, const engine::PlanSummary& training,
               const engine::PlanSummary& evaluation, MemoryPlan& plan) {
  plan.operations = training.operations;
  plan.arena = std::max(training.arena, evaluation.arena);
  const auto evaluation_plans =
      std::min<int64_t>(static_cast<int64_t>(evaluation_batches(setup, plan.batch).size()),
                        static_cast<int64_t>(PlanCache<layers::InferenceStep>::kMost));
  plan.prepared = training.constants + evaluation_plans * evaluation.constants;
}

// What another batch size would take, planned aside in arenas of its own (whose pages nobody
// touches). Empty if the system refuses even the address space.
std::optional<MemoryPlan> plan_aside(const TrainingSetup& setup, int64_t batch) {
  try {
    layers::TrainingOptions options;
    options.build.frozen_batch_norm = setup.options.frozen_bn;
    const auto training = setup.model.classifier->plan_training(
        setup.exec, std::make_shared<engine::Arena>(), batch, options);
    const auto evaluation = setup.model.classifier->plan_inference(
        setup.exec, std::make_shared<engine::Arena>(), batch);
    MemoryPlan plan = common_plan(setup, batch);
    add_plans(setup, training.step.summary(), evaluation.step.summary(), plan);
    return plan;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return std::nullopt;
  }
}

// The plans of the sessions themselves, which the run then uses.
std::optional<MemoryPlan> plan_sessions(TrainingSetup& setup) {
  const int64_t batch = setup.largest_training_batch();
  try {
    MemoryPlan plan = common_plan(setup, batch);
    const engine::PlanSummary training = setup.session->plan(batch).summary();
    const auto sizes = evaluation_batches(setup, setup.options.batch);
    const engine::PlanSummary evaluation = setup.inference->plan_summary(*sizes.rbegin());
    add_plans(setup, training, evaluation, plan);
    return plan;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return std::nullopt;
  }
}

}  // namespace

std::set<int64_t> evaluation_batches(const TrainingSetup& setup, int64_t batch) {
  std::set<int64_t> sizes;
  for (const auto* loader : {setup.test.get(), setup.val.get()}) {
    if (loader == nullptr) continue;
    const auto count = static_cast<int64_t>(loader->samples().size());
    sizes.insert(std::min(count, batch));
    if (count % batch != 0) sizes.insert(count % batch);
  }
  return sizes;
}

std::string memory_text(const MemoryPlan& p) {
  return text::format(
      "plan: batch {}, {} operations; arena {:.1f} MB, parameters {:.1f} MB, gradients {:.1f} MB, "
      "Adam {:.1f} MB, prepared weights {:.1f} MB, pictures {:.1f} MB, saving {:.1f} MB; peak "
      "{:.1f} "
      "MB",
      p.batch, p.operations, megabytes(p.arena), megabytes(p.parameters), megabytes(p.gradients),
      megabytes(p.adam), megabytes(p.prepared), megabytes(p.pictures), megabytes(p.saving),
      megabytes(p.total()));
}

MemoryPlan plan_memory(TrainingSetup& setup, int64_t available, std::ostream& out) {
  // Parameters are in memory already; they are in no one's way twice.
  const int64_t limit =
      available > 0 ? available + setup.model.classifier->table().value_bytes() : 0;
  std::optional<MemoryPlan> plan;
  const auto total = [](const std::optional<MemoryPlan>& p) {
    return p ? std::optional(p->total()) : std::nullopt;
  };
  const auto plan_all = [&] {
    plan = plan_sessions(setup);
    if (plan) text::print(out, "{}\n", memory_text(*plan));
    return total(plan);
  };
  const auto release = [&] {
    setup.session->release();
    setup.inference->release();
  };
  require_memory({setup.options.batch, setup.largest_training_batch(), plan_all, release,
                  [&](int64_t batch) { return total(plan_aside(setup, batch)); }},
                 limit);
  return plan.value();
}

}  // namespace verace::apps
