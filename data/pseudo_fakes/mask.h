// The mask of a pseudo-fake: where in a picture the face is replaced, and how much.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/draws.h"
#include "data/pseudo_fakes/face_outline.h"

namespace verace::data {

// Part of a picture, [height, width] from (top, left); outside of it the weight is 0.
struct FaceMask {
  static constexpr uint16_t kFull = 65535;
  int64_t top = 0, left = 0, height = 0, width = 0;
  std::vector<uint16_t> weight;  // 0: none of the source, kFull: all of it

  uint16_t at(int64_t y, int64_t x) const;  // of the picture's pixel (y, x)
};

// How an outline is deformed and softened. The default is the outline itself, with a hard edge.
struct MaskShape {
  // Of the outline, in the face's coordinates.
  ImagePoint scale{1, 1};
  float shear = 0;  // of u by v
  ImagePoint shift;
  // Elastic: how far the corners of a grid over the face are moved; smooth between them.
  static constexpr int kGrid = 6;
  std::array<ImagePoint, kGrid * kGrid> bend{};
  // Reach of the two blurs, as shares of half the eyes' distance (of the mean of that and of half
  // the distance to the mouth, of a face that is turned). What the first one touches is cut off,
  // so that it makes the mask smaller, the second one makes it soft and larger; from 0.
  float first_blur = 0, second_blur = 0;
};

MaskShape draw_mask_shape(Draws& draws);

// The mask for a picture of height x width. Landmarks without fault (landmark_fault(), CHECK). The
// part's size is that of the face, not of the picture; empty (no weights) if the face lies outside.
// Each blur is three means over windows (nearly a Gaussian, but exactly 0 beyond its reach); the
// arithmetic is that of whole numbers, equal everywhere. At the picture's border the mask goes on.
FaceMask draw_mask(int64_t height, int64_t width, const FaceLandmarks& landmarks,
                   const MaskShape& shape);

}  // namespace verace::data
