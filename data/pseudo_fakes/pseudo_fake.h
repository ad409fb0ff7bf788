// Pseudo-fakes: pictures in which a face is blended with a changed copy of itself.
//
// After Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022
// (arXiv:2204.08376): what face swaps have in common is not whose face they put in but that it does
// not quite belong there: its colours, sharpness, noise and place differ a little, inside of a
// border where two pictures meet. So a detector can be trained on real faces alone. The source is a
// copy of the face with other colours, sharpness, compression and place; the target is the picture
// itself; a face-shaped mask, deformed and softened, blends them.
//
// Other than in the paper always the source is changed, never the target: outside of the mask every
// bit is the real picture's, so that nothing about the picture as a whole tells the classes apart.
// And the outline is made of five landmarks (data/pseudo_fakes/face_outline.h) instead of 81.
#pragma once

#include <cstdint>
#include <string>

#include "data/image.h"
#include "data/pseudo_fakes/mask.h"
#include "data/pseudo_fakes/perturbation.h"

namespace verace::data {

struct PseudoFakeRecipe {
  MaskShape mask;
  Perturbation perturbation;
  Misplacement misplacement;
  int quarters = 4;  // of the source where the mask is full: 1..4
};

// Depends on the arguments alone. sample: below 2^32; epoch: below 2^20; attempt: below 16 (CHECK).
PseudoFakeRecipe draw_pseudo_fake_recipe(uint64_t seed, int64_t sample, int64_t epoch,
                                         int64_t attempt = 0);

struct PseudoFake {
  Image image;       // of the real picture's size
  FaceMask mask;     // 0: the real picture's bits
  float change = 0;  // mean of the differences under the mask, weighted by it; grey levels
};

// Landmarks in pixels of the picture, without fault (CHECK).
PseudoFake make_pseudo_fake(const Image& real, const FaceLandmarks& landmarks,
                            const PseudoFakeRecipe& recipe);

// Less is no fake that could be told from its original.
inline constexpr float kLeastChange = 1.0F;

// A pseudo-fake of the picture; equal arguments give equal bits, on every machine. Where a recipe
// changes less than kLeastChange the next attempt's is taken. Throws Error(kInput), one line that
// starts with `name_for_errors`, for landmarks that are no face in this picture, and for a picture
// that no recipe changes.
PseudoFake draw_pseudo_fake(const Image& real, const FaceLandmarks& landmarks, uint64_t seed,
                            int64_t sample, int64_t epoch, const std::string& name_for_errors);

}  // namespace verace::data
