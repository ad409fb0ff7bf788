// Running the recalibration step over training pictures.
#include "apps/lib/trainer_recalibrate.h"

#include <algorithm>

#include "apps/lib/signals.h"

namespace verace::apps {

void recalibrate(TrainingSetup& setup, const ProgressStyle& style) {
  const auto& layers = setup.model.classifier->table().layers();
  const bool any = std::ranges::any_of(layers, [](const auto& layer) {
    return layer->kind == engine::LayerKind::kBatchNorm && layer->trainable;
  });
  if (!any || setup.options.recalibrate == 0) return;
  data::Loader& loader = *setup.train;
  // Batches of equal size, so that the mean over batches is the mean over pictures.
  const int64_t size = std::min(setup.options.batch, loader.pictures_per_epoch());
  const int64_t pictures = std::min(setup.options.recalibrate, loader.pictures_per_epoch());
  const int64_t batches = std::max<int64_t>(1, pictures / size);
  // Planned each time: its prepared weights need not stay during training.
  const layers::RecalibrationStep plan = setup.model.classifier->plan_recalibration(
      setup.exec, setup.arena, size, setup.options.frozen_bn);
  Progress progress(style, "batch-norm statistics", "batches", batches);
  loader.start_epoch(setup.checkpoint.state.epoch);
  data::Batch batch;
  for (int64_t i = 0; i < batches && stop_signal() == 0 && loader.next(batch); ++i) {
    // Broken pictures can make the last batch smaller.
    if (static_cast<int64_t>(batch.labels.size()) != size) break;
    plan.step.write(plan.pictures, std::span<const uint8_t>(batch.pixels));
    *plan.momentum = 1.0 / static_cast<double>(i + 1);
    plan.step.run();
    progress.update(i + 1);
  }
}

}  // namespace verace::apps
