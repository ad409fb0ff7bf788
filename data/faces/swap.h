// Puts the inner face of one photograph into another one, as face swaps do: align, resample, match
// colours, blend.
#pragma once

#include "data/faces/geometry.h"

namespace verace::data::faces {

// What differs from swap to swap.
struct Swap {
  float reach = 1;        // size of the inner face, 1: from the brows to the chin
  float feather = 0.3F;   // width of the mask's soft border, as a share of its radius
  float matching = 1;     // how much of the colours' difference is removed, 0..1
  Point misplacement[3];  // errors of the donor's landmarks, in sides of the picture
};

Swap draw_swap(uint64_t seed, int64_t number);

// Landmarks say where the eyes and the mouth are in each; both photographs of one size.
struct Face {
  const Picture& photograph;
  Landmarks landmarks;
};

// `target` with the inner face of `donor`. A donor that is another exposure of the same scene
// leaves no more than the traces of resampling.
Picture swap_inner_face(const Face& target, const Face& donor, const Swap& swap);

}  // namespace verace::data::faces
