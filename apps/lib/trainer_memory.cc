// Planning the memory of a training run.
#include "apps/lib/trainer_memory.h"

#include <algorithm>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc
#include <optional>

#include "apps/lib/memory_limit.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Batches that wait in a loader (its own window of prefetched ones), with its reader, and with the
// training loop.
constexpr int64_t kTrainingBatches = 5;

int64_t picture_bytes(const TrainingSetup& setup, int64_t batch) {
  int64_t bytes = 0;
  const int64_t picture = setup.inference->picture_count();
  for (const auto* loader : {setup.train.get(), setup.test.get(), setup.val.get()}) {
    if (loader == nullptr) continue;
    const auto count = static_cast<int64_t>(loader->samples().size());
    bytes += std::min(batch * kTrainingBatches, count) * picture;
    if (loader->cached()) bytes += count * picture;
  }
  return bytes;
}

bool on_device(const TrainingSetup& setup) {
  return engine::memory_of(setup.exec) == engine::MemoryKind::kDevice;
}

// Filters and their moments are stored in another order of dimensions (stored_tensor); from a
// device everything is copied.
int64_t saving_bytes(const TrainingSetup& setup) {
  const engine::LayerTable& table = setup.model.classifier->table();
  if (on_device(setup)) return table.value_bytes() + setup.adam->bytes();
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
  plan.saving = saving_bytes(setup);
  plan.on_device = on_device(setup);
  // Two sets of pixels, flips and labels (engine/staging.h).
  if (plan.on_device) plan.staged = 2 * batch * (setup.inference->picture_count() + 5);
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
  } catch (const engine::OutOfMemory&) {
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
  } catch (const engine::OutOfMemory&) {
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
  const std::string network = text::format(
      "plan: batch {}, {} operations; arena {:.1f} MB, parameters {:.1f} MB, gradients {:.1f} MB, "
      "Adam {:.1f} MB, prepared weights {:.1f} MB",
      p.batch, p.operations, megabytes(p.arena), megabytes(p.parameters), megabytes(p.gradients),
      megabytes(p.adam), megabytes(p.prepared));
  std::string beside = text::format("pictures {:.1f} MB, saving {:.1f} MB", megabytes(p.pictures),
                                    megabytes(p.saving));
  if (p.on_device) beside += text::format(", staged on both {:.1f} MB", megabytes(p.staged));
  return p.on_device ? text::format("{}: {:.1f} MB on the GPU; {}: {:.1f} MB on the host", network,
                                    megabytes(p.device()), beside, megabytes(p.host()))
                     : text::format("{}, {}; peak {:.1f} MB", network, beside, megabytes(p.host()));
}

namespace {

// What a batch takes of one memory, planned for the run and for others aside.
class Demands {
 public:
  explicit Demands(TrainingSetup& setup) : setup_(setup) {}

  // `plan`: the plan of the run, if it could be made.
  BatchDemand of(int64_t (MemoryPlan::*bytes)() const,
                 std::function<std::optional<MemoryPlan>()> plan) const {
    const auto count = [bytes](const std::optional<MemoryPlan>& p) {
      return p ? std::optional(((*p).*bytes)()) : std::nullopt;
    };
    return {setup_.options.batch,
            setup_.largest_training_batch(),
            [count, plan = std::move(plan)] { return count(plan()); },
            [this] {
              setup_.session->release();
              setup_.inference->release();
            },
            [this, count](int64_t batch) { return count(plan_aside(setup_, batch)); },
            bytes == &MemoryPlan::device ? "on the GPU" : ""};
  }

 private:
  TrainingSetup& setup_;
};

// Of the GPU, for all that the run holds and will hold there. Not 0.
int64_t gpu_limit() {
  return room_on_gpu() + engine::memory_use(engine::MemoryKind::kDevice).current;
}

}  // namespace

MemoryPlan plan_memory(TrainingSetup& setup, int64_t available, std::ostream& out) {
  // What is in memory already is in no one's way twice.
  const int64_t held = on_device(setup) ? 0 : setup.model.classifier->table().value_bytes();
  const int64_t host_limit = available > 0 ? available + held : 0;
  const int64_t device_limit = on_device(setup) ? gpu_limit() : 0;
  std::optional<MemoryPlan> plan;
  const auto plan_once = [&] {
    if (!plan) plan = plan_sessions(setup);
    return plan;
  };
  const Demands demands(setup);
  if (plan_once()) {
    text::print(out, "{}\n", memory_text(*plan));
    if (const std::string taken = kernels::conv_plan_summary(); !taken.empty()) {
      text::print(out, "plans: {}\n", taken);
    }
  }
  if (on_device(setup)) {
    require_memory(demands.of(&MemoryPlan::device, plan_once), device_limit);
  }
  require_memory(demands.of(&MemoryPlan::host, plan_once), host_limit);
  if (on_device(setup)) setup.arena->base();
  return plan.value();
}

std::string gpu_advice(TrainingSetup& setup) {
  const Demands demands(setup);
  BatchDemand demand = demands.of(&MemoryPlan::device, [] { return std::nullopt; });
  demand.release();
  const auto whole = demand.bytes_for(demand.pictures);
  const int64_t limit = gpu_limit();
  if (whole && *whole <= limit) return text::format("--batch {} would fit now", demand.flag);
  return batch_advice(demand, whole.value_or(2 * limit), limit);
}

}  // namespace verace::apps
