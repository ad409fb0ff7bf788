// The checks of the whole network, narrow: in training, partly frozen, and in inference.
#pragma once

#include <string>
#include <vector>

#include "apps/lib/gradcheck/workbench.h"
#include "layers/classifier.h"

namespace verace::apps {

enum class NetworkCase {
  kTraining,     // everything trained, v1.5, mean loss: every parameter
  kFrozen,       // --freeze keras:15, v1: what is frozen is not written, all else is checked
  kFrozenBatch,  // the same, frozen batch norms with the batch's statistics (v1.5)
  kInference,    // folded batch norms, summed loss: the pictures' gradient, as attacks take it
};

// Network and pictures are functions of the context's seed: a sixteenth of ResNet-50's width, 4
// drawn faces of 48 x 48 pixels; gamma 0.7 to 1.3, beta +-0.2. A ReLU whose input is zero but for
// rounding may be open in fp32 and closed in double: then the two are different functions. So other
// faces are drawn until all signs agree, at most eight times, and not at all where so many differ
// that rounding cannot be the cause: those the check shall see.
Subject check_network(const CheckContext& context, NetworkCase which);

// That network, without its weights: its layer table knows the names that can be checked.
layers::ClassifierOptions checked_network();

}  // namespace verace::apps
