// Fresh batch-norm statistics before a network is judged. For trainer.cc.
#pragma once

#include <ostream>

#include "apps/lib/progress.h"
#include "apps/lib/trainer_setup.h"

namespace verace::apps {

// Replaces the running statistics of the trainable batch norms by those of options.recalibrate
// training pictures (whole batches; all pictures if there are fewer) under the present weights: the
// moving averages lag behind the weights, and after few steps they still hold where they started
// from. Pictures come in the running epoch's order, so that a resumed run takes the same. What it
// leaves does not depend on the statistics before. Does nothing when there are no such batch norms
// or options.recalibrate is 0. Ends early at a stop signal (signals.h).
void recalibrate(TrainingSetup& setup, const ProgressStyle& style);

}  // namespace verace::apps
