// How much the demonstration draws and trains, and with which settings.
#pragma once

#include "apps/lib/demo.h"
#include "apps/lib/trainer_options.h"
#include "data/faces/dataset.h"

namespace verace::apps {

struct DemoSchedule {
  data::faces::DatasetOptions faces;
  int64_t pretraining_epochs = 0, finetuning_epochs = 0;
};
DemoSchedule demo_schedule(bool quick, uint64_t seed);

// Settings of both trainings; data and out are the caller's, and the weights of a fine-tuning
// without options.weights.
TrainOptions demo_pretraining(const DemoOptions& options, const DemoSchedule& schedule);
TrainOptions demo_finetuning(const DemoOptions& options, const DemoSchedule& schedule);

}  // namespace verace::apps
