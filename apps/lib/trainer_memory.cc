// Planning the memory of a training run.
#include "apps/lib/trainer_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

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

// The sizes of batch that evaluation will plan for.
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

// Filters and their moments are stored in another order of dimensions (stored_tensor).
int64_t saving_bytes(const engine::LayerTable& table) {
  int64_t bytes = 0;
  for (const auto& layer : table.layers()) {
    if (layer->kind != engine::LayerKind::kConvolution) continue;
    bytes += layer->parameter("weight").value.bytes() * (layer->trainable ? 3 : 1);
  }
  return bytes;
}

MemoryPlan common_plan(const TrainingSetup& setup, int64_t batch) {
  MemoryPlan plan;
  plan.batch = batch;
  plan.parameters = setup.model.classifier->table().value_bytes();
  plan.adam = setup.adam->bytes();
  // Each trainable parameter has a first and a second moment, and one gradient.
  plan.gradients = plan.adam / 2;
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
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return std::nullopt;
  }
}

// Everything but the batch's share is the same for all sizes, and that share grows in proportion.
int64_t extrapolated(const MemoryPlan& small, const MemoryPlan& larger, int64_t batch) {
  const int64_t per_picture = (larger.total() - small.total()) / (larger.batch - small.batch);
  return larger.total() + (batch - larger.batch) * per_picture;
}

[[noreturn]] void fail_for_memory(const TrainingSetup& setup, int64_t batch, int64_t needed,
                                  int64_t limit) {
  int64_t candidate = batch, bytes = needed;
  while (candidate > 1) {
    // The estimate in proportion errs on the small side only by what does not depend on the batch.
    const auto guess = static_cast<int64_t>(
        static_cast<double>(candidate) * static_cast<double>(limit) / static_cast<double>(bytes));
    candidate = std::clamp<int64_t>(guess, 1, candidate - 1);
    const auto plan = plan_aside(setup, candidate);
    if (!plan) continue;
    bytes = plan->total();
    if (bytes <= limit) break;
  }
  const std::string advice =
      bytes <= limit ? text::format("use --batch {} ({:.1f} MB)", candidate, megabytes(bytes))
                     : text::format(
                           "not even --batch {} fits ({:.1f} MB); freeze more, or use a "
                           "machine with more memory",
                           candidate, megabytes(bytes));
  fail_input(
      text::format("--batch {}: needs {:.1f} MB, {:.1f} MB are available, {} bytes ({:.1f} MB) "
                   "are missing: {}",
                   setup.options.batch, megabytes(needed), megabytes(limit), needed - limit,
                   megabytes(needed - limit), advice));
}

}  // namespace

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

int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  int64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return 0;
}

MemoryPlan plan_memory(TrainingSetup& setup, int64_t available, std::ostream& out) {
  // Parameters are in memory already; they are in no one's way twice.
  const int64_t limit = available + setup.model.classifier->table().value_bytes();
  const std::optional<MemoryPlan> plan = plan_sessions(setup);
  if (!plan) {
    const auto small = plan_aside(setup, 1), larger = plan_aside(setup, 2);
    if (!small || !larger) fail_input("--batch: not even a batch of two pictures fits into memory");
    const int64_t batch = setup.largest_training_batch();
    fail_for_memory(setup, batch, std::max(extrapolated(*small, *larger, batch), limit + 1), limit);
  }
  text::print(out, "{}\n", memory_text(*plan));
  if (available > 0 && plan->total() > limit) {
    fail_for_memory(setup, plan->batch, plan->total(), limit);
  }
  return *plan;
}

}  // namespace verace::apps
