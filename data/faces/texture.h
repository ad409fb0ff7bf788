// What is painted on a face: skin, eyes, brows, lips, beard; and noise for hair and skin.
#pragma once

#include <cstdint>

#include "data/faces/model.h"

namespace verace::data::faces {

// Smooth noise in 0..1 with features of about the size 1; a function of its arguments alone.
float value_noise(Point p, uint32_t seed);

// The colour of the face itself at a place of it (before light): skin with everything that has a
// colour of its own.
Rgb skin_and_features(const Person& person, const Expression& expression, Point on_face);

}  // namespace verace::data::faces
