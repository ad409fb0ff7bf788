// What a training run records for its report: evaluation.json, profile.json, run.json. For
// trainer.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "apps/lib/evaluator.h"
#include "apps/lib/run_folder.h"
#include "apps/lib/step_profile.h"
#include "apps/lib/trainer_setup.h"
#include "engine/trace.h"

namespace verace::apps {

// Pictures of the inference that is measured, where evaluation asks for so few at a time.
inline constexpr int64_t kInferencePictures = 16;
// Which of the sizes of batch that evaluation has planned, for memory was counted for these alone:
// the largest of at most kInferencePictures, else the smallest. Throws Error(kInternal) for none.
int64_t measured_batch(const std::set<int64_t>& sizes);

// None of its failures ends a run: what cannot be written is a WARNING on `out`.
class TrainingRecorder {
 public:
  // All must outlive it.
  TrainingRecorder(TrainingSetup& setup, const RunFolder& folder, std::ostream& out);

  // Before step i (from 0) of this process, on a batch of n pictures: a few steps are traced, as
  // options.trace also asks for.
  void before_step(int64_t i, int64_t pictures);
  // The evaluation of a split; of several of one epoch the last counts.
  void judged(Evaluation evaluation, const std::string& split);
  // The epoch is the best one so far: what was judged becomes evaluation.json, by the thresholds
  // that are stored with the model, and with the digest of best.safetensors, which must be that
  // epoch's already.
  void best_epoch(const std::optional<ChosenThresholds>& thresholds, const std::string& digest);
  // After each epoch: run.json tells of a run that is killed later, too.
  void epoch_done();
  // Where a run goes on: what an earlier process has recorded of later steps is set right.
  void fit_to_state();
  // At the end of the run, stopped or not.
  void finish(bool finished);

 private:
  void end_trace();
  void write_run_record(bool finished);
  template <typename Action>
  void warn_if_it_fails(const char* what, Action action);

  TrainingSetup& setup_;
  const RunFolder& folder_;
  std::ostream& out_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::string started_;
  bool synthetic_ = false;
  std::unique_ptr<engine::Trace> trace_;
  std::vector<int64_t> traced_;  // pictures of the traced steps
  Profile profile_;
  std::optional<Evaluation> judged_;
  std::string split_;
};

}  // namespace verace::apps
