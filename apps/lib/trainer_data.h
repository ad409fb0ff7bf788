// The pictures of a training run: the data set, its pseudo-fakes, and the loaders.
#pragma once

#include <array>
#include <cstdint>
#include <ostream>

#include "apps/lib/trainer_setup.h"
#include "data/dataset.h"

namespace verace::apps {

// Loads the data set of the options and says what is in it. With options.pseudo_fakes each real
// training picture that has landmarks gets a pseudo-fake as a further sample, and so do the real
// pictures of val and test where these have no fakes: they are judged by the same pseudo-fakes in
// every run, and that is said. Throws Error(kInput) naming --pseudo-fakes if no real training
// picture has landmarks.
data::Dataset load_training_data(const TrainOptions& options, std::ostream& out);

// Sets train, test and val (null where there are no pictures) of the setup, for its options and
// network.
void make_loaders(TrainingSetup& setup, const data::Dataset& dataset);

// Training pictures of each class in one epoch without balancing.
std::array<int64_t, 2> training_counts(const TrainOptions& options, const data::Dataset& dataset);

}  // namespace verace::apps
