// What makes a copy of a picture another one: colours, sharpness, resampling, compression, place.
#pragma once

#include <array>
#include <cstdint>

#include "data/detected_face.h"
#include "data/draws.h"
#include "data/image.h"

namespace verace::data {

// Applied in the order of the fields. The default of each leaves the picture as it is, and the
// default of all of them its every bit.
struct Perturbation {
  std::array<int, 3> rgb_shift{};   // added to red, green, blue; grey levels of 255
  float hue = 0;                    // turned by, of a full turn; [-1, 1]
  float saturation = 1, value = 1;  // factors of HSV, from 0
  float contrast = 1;               // about the middle grey
  float brightness = 0;             // added, grey levels
  float sharpen = 0;     // so much of the difference from the mean of 3 x 3 pixels is added; from 0
  int blur = 0;          // so often the (1 2 1) mean of neighbours is taken, along rows and columns
  float shrink = 1;      // resized to 1 / shrink (antialiased) and back (bilinear); from 1
  int jpeg_quality = 0;  // 1..100; 0: not compressed
};

Perturbation draw_perturbation(Draws& draws);
// The picture's size stays. Equal on every machine.
Image perturb(const Image& image, const Perturbation& perturbation);

// Where a copy lies over its original; in pixels and as factors about `centre`.
struct Misplacement {
  float scale_x = 1, scale_y = 1;  // larger than 1: the copy is larger
  float turn = 0;                  // tangent of the angle
  float shift_x = 0, shift_y = 0;  // shares of half the eyes' distance
  bool operator==(const Misplacement&) const = default;
};

Misplacement draw_misplacement(Draws& draws);
// The picture moved that way about `centre` (pixels), bilinear; the border's pixels go on beyond
// it. unit: pixels of half the eyes' distance. The default moves no bit.
Image misplace(const Image& image, const Misplacement& misplacement, ImagePoint centre, float unit);

}  // namespace verace::data
