// Freezing: which layers training leaves alone, by the forms of --freeze.
#pragma once

#include <string>

#include "engine/layer_table.h"

namespace verace::optim {

// Sets `trainable` of every layer according to `text`:
//   none         everything is trained
//   backbone     only the head is trained
//   keras:K      the layers model.layers[:K] of Keras' ResNet50 are frozen, input layer included
//   (semantics.md A.1), K in [0, 175] stages:N     the stem and the first N of the four stages, N
//   in [0, 4]; stages:0 is the stem alone blocks:N     the stem and the first N of the sixteen
//   bottleneck blocks, N in [0, 16] name:LAYER   all layers of the table up to and including LAYER
//   (torchvision's or Keras' name)
// Throws Error(kInput) that names the flag; for an unknown layer it offers the nearest names.
void freeze(engine::LayerTable& table, const std::string& text);

// What is frozen, for people: counts of layers and parameters, and the frozen layers' names.
std::string frozen_summary(const engine::LayerTable& table);

}  // namespace verace::optim
