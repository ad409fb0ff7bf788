// Training a classifier: data, model, plan, epochs, evaluation, checkpoints.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "apps/lib/run_folder.h"
#include "apps/lib/trainer_options.h"

namespace verace::apps {

struct TrainResult {
  std::vector<EpochMetrics> history;  // finished epochs, earlier ones of a resumed run included
  int64_t best_epoch = 0;             // 0: none
  int64_t global_step = 0;
  bool finished = false;  // all epochs done
  int signal = 0;         // that stopped the run; the command exits with 128 + signal
};

// Trains as the options say and writes the run folder (run_folder.h). Reports to `out`: device,
// assumptions about the weights, frozen set, data, memory of the plan before anything runs, and one
// line per epoch; progress goes to stderr.
//
// After every epoch the statistics of trained batch norms are renewed (options.recalibrate) and the
// model is judged on test (and val if there is one). best.safetensors is the
// epoch with the highest balanced accuracy (equal: the lower loss) on val if there is one, else on
// test. With options.fpr it also holds the thresholds that val asks for (threshold.h); the metrics
// of epochs are judged at kFakeThreshold. last.safetensors is written after every epoch (and as
// save_every says), and when SIGINT or SIGTERM (or max_steps) ends the run between two steps;
// `resume` goes on from there, or from the one before it if it is damaged (checkpoint_files.h),
// with the same shuffles, and with the same number of threads gives the same bits as a run that was
// never stopped. A run whose epochs are all done is resumed only to complete its records.
//
// The last batch of an epoch may be smaller. A last batch of one picture joins the one before it if
// a batch norm uses batch statistics: the statistics of one picture are no estimate, and at small
// inputs they would be of one value.
//
// Throws Error(kInput) for bad options and data, a loss that is not finite, and a plan that does
// not fit into the available memory; the message says how many bytes are missing and which --batch
// fits.
TrainResult train(const TrainOptions& options, std::ostream& out);

}  // namespace verace::apps
