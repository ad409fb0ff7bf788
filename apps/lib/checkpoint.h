// A training run on disk: the model, the optimiser's moments and where the run stands.
//
// The file is a model file (load_model reads it and takes no notice of the rest) with further
// tensors "optimizer.m.NAME" and "optimizer.v.NAME" (NAME, shape and order of dimensions as the
// parameter's) and the state as JSON under the metadata key "verace.checkpoint"; in fp16 training
// with the loss scale. Its checksum covers every byte (weights/safetensors_checksum.h); files of
// format 1, of older programs, have none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lib/run_folder.h"
#include "layers/classifier.h"
#include "optim/adam.h"

namespace verace::apps {

// Where a run stands.
struct TrainingState {
  int64_t epoch = 0;                  // finished epochs; the running one is epoch + 1
  int64_t step = 0;                   // finished steps inside the running epoch
  int64_t global_step = 0;            // finished steps
  int64_t epoch_samples = 0;          // of the running epoch so far: pictures,
  int64_t epoch_correct = 0;          // right answers,
  double epoch_loss_sum = 0;          // sum of losses,
  double epoch_seconds = 0;           // seconds
  double epoch_wait = 0;              // and of these, waiting for pictures
  std::vector<EpochMetrics> history;  // of finished epochs
  int64_t best_epoch = 0;             // 0: none yet
  std::string best_digest;            // of its model (weights_digest.h); empty: not known
};

// What must be equal for resuming to give the same numbers.
struct TrainingRecipe {
  uint64_t seed = 0;
  std::string freeze;
  int threads = 0;
  std::string config;      // the run's options, TOML (trainer_options.h)
  std::string machine;     // what else rounding depends on: processor, libraries; empty: not known
  std::string pictures;    // that are trained on, in short; empty: not known
  bool synthetic = false;  // the faces are drawn by this program
};

struct Checkpoint {
  TrainingState state;
  TrainingRecipe recipe;
};

// Writes atomically: what stood under `path` is replaced once the new file has been read back from
// the disc and is a checkpoint in every byte. The old one has the name `keep_old_as` then, beside
// it; empty: it is gone. Throws Error(kInput) naming `path` when the system refuses or the disc
// gives back something else; then nothing has changed.
void save_checkpoint(const std::string& path, const layers::Classifier& classifier,
                     const optim::Adam& adam, const Checkpoint& checkpoint,
                     const std::string& keep_old_as = "");

// State and recipe alone, of a file whose every byte is as it was written. Throws Error(kInput)
// naming the file when it is no checkpoint or damaged.
Checkpoint read_checkpoint(const std::string& path);

// Moments, step count and loss scale into `adam`, whose table must be the classifier's, loaded from
// the same file and frozen as it was. Throws Error(kInput) naming the file and the tensor for what
// does not fit.
void load_moments(const std::string& path, optim::Adam& adam);

}  // namespace verace::apps
