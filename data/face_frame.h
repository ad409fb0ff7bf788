// A face's own coordinates, by its eyes and its mouth.
#pragma once

#include "data/detected_face.h"

namespace verace::data {

inline ImagePoint operator+(ImagePoint a, ImagePoint b) { return {a.x + b.x, a.y + b.y}; }
inline ImagePoint operator-(ImagePoint a, ImagePoint b) { return {a.x - b.x, a.y - b.y}; }
inline ImagePoint operator*(ImagePoint a, float k) { return {a.x * k, a.y * k}; }

// (u, v): (0, 0) half way between eyes and mouth, the eyes at (-1, -1) and (1, -1), the middle of
// the mouth at (0, 1). An affine map: it follows the size of a face, its turn in the picture, and
// the shortening of a head that is turned away. The picture's coordinates are of any unit.
struct FaceFrame {
  ImagePoint middle, right, down;

  FaceFrame(ImagePoint left_eye, ImagePoint right_eye, ImagePoint mouth) {
    const ImagePoint eyes = (left_eye + right_eye) * 0.5F;
    middle = (eyes + mouth) * 0.5F;
    right = (right_eye - left_eye) * 0.5F;
    down = (mouth - eyes) * 0.5F;
  }

  // Of the parallelogram of (1, 0) and (0, 1) in the picture; not positive: the points are on one
  // line, or left and right are exchanged, and there are no coordinates.
  float area() const { return right.x * down.y - right.y * down.x; }
  ImagePoint place(ImagePoint uv) const { return middle + right * uv.x + down * uv.y; }
  ImagePoint coordinates(ImagePoint p) const {
    const ImagePoint d = p - middle;
    const float unit = area();
    return {(d.x * down.y - d.y * down.x) / unit, (d.y * right.x - d.x * right.y) / unit};
  }
};

}  // namespace verace::data
