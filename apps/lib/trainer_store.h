// What a training run writes into its folder, in which order, and what is left when that fails. For
// trainer.cc.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "apps/lib/checkpoint_files.h"
#include "apps/lib/run_folder.h"
#include "apps/lib/threshold.h"
#include "apps/lib/trainer_record.h"
#include "apps/lib/trainer_setup.h"

namespace verace::apps {

// Where the system refuses to write, the Error(kInput) says as well which state of the run is on
// the disc and how many steps are lost.
class TrainingStore {
 public:
  // All must outlive it.
  TrainingStore(TrainingSetup& setup, const RunFolder& folder, TrainingRecorder& recorder,
                std::ostream& out);

  // config.toml, before the first step.
  void write_config();
  // The state as it is now.
  void save();
  // After an epoch, which is in the state already. First what the checkpoint speaks of (the best
  // model and its evaluation), then the checkpoint, then what fit() makes again from it.
  void save_epoch(bool best, const std::optional<ChosenThresholds>& thresholds);
  // Where a run goes on: brings its records to what its checkpoint says, for an earlier process may
  // have been killed between two of them, or have gone further than the checkpoint that is left.
  void fit();

  // "FILE holds the state of EPOCH, STEP: go on with --resume FILE (N steps since then are lost)".
  std::string what_is_left() const;

 private:
  void write(const std::function<void()>& action);

  TrainingSetup& setup_;
  const RunFolder& folder_;
  TrainingRecorder& recorder_;
  std::ostream& out_;
  CheckpointFiles files_;
};

}  // namespace verace::apps
