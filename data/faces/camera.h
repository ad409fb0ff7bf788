// Lens and sensor: from light to the numbers of a picture.
#pragma once

#include <cstdint>

#include "data/faces/model.h"
#include "data/image.h"

namespace verace::data::faces {

// A photograph of `light` with values as pictures store them (about the square root of light), 0..1
// and not rounded. `exposure` numbers the photograph: its noise depends on (seed, exposure) alone.
Picture photograph(const Picture& light, const Camera& camera, uint64_t seed, int64_t exposure);

// Rounds to 8 bits.
Image develop(const Picture& photograph);

}  // namespace verace::data::faces
