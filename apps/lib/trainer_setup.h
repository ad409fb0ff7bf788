// Everything that a training run needs before its first step. For trainer.cc.
#pragma once

#include <memory>
#include <ostream>

#include "apps/lib/checkpoint.h"
#include "apps/lib/model_file.h"
#include "apps/lib/session.h"
#include "apps/lib/trainer_options.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "engine/device.h"
#include "optim/adam.h"

namespace verace::apps {

struct TrainingSetup {
  TrainOptions options;  // as they are used: with resume, the recorded ones
  engine::Device device;
  kernels::Exec exec;  // of `device`
  LoadedModel model;
  ClassIndices classes;
  bool batch_statistics = false;  // some batch norm normalises with the batch's statistics
  std::unique_ptr<data::Loader> train, val, test;  // val or test may be absent, not both
  std::shared_ptr<engine::Arena> arena;
  std::unique_ptr<optim::Adam> adam;
  std::unique_ptr<TrainingSession> session;
  std::unique_ptr<InferenceSession> inference;
  Checkpoint checkpoint;

  int64_t largest_training_batch() const;
};

// Reads data and model, freezes, makes optimiser and sessions; with resume, restores all of it.
// Reports to `out`. Throws Error(kInput) for everything that the user gave and that does not fit.
TrainingSetup prepare_training(const TrainOptions& options, std::ostream& out);

}  // namespace verace::apps
