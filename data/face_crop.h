// From a frame and a face in it to the square picture that a network judges.
#pragma once

#include <array>
#include <cstdint>

#include "data/detected_face.h"
#include "data/image.h"

namespace verace::data {

enum class CropKind { kTight, kMargin, kSquare, kAligned, kEyeAngle };
inline constexpr std::array kCropNames = {"tight", "margin", "square", "aligned", "eye-angle"};

// kTight: the box, cut to whole pixels of the picture, stretched to the square.
// kMargin: the same with `margin` of the box's width and height more on each side.
// kSquare: a square of the box's longer side and `margin` of it more in all, about the box's
//   middle, shifted into the picture; where it is larger than the picture, the rest is black.
// kAligned: turned, scaled and shifted so that the five landmarks lie as near as they can
//   (fit_similarity) to where they are in the ArcFace template (112 x 112), which is shrunk about
//   its middle by 1 + margin. Outside of the picture: black.
// kEyeAngle: tight, then turned by the angle of the eyes as in retina-face of 2021 (nearest pixel,
//   black corners; eyes one above the other are turned only if the left one is lower), then
//   stretched.
struct CropOptions {
  CropKind kind = CropKind::kTight;
  double margin = 0;   // share of the box (see above); kTight and kEyeAngle ignore it
  int64_t size = 224;  // height and width of the result, pixels
  bool operator==(const CropOptions&) const = default;
};
// What others use: 0.125 (margin, self-blended images), 0.3 (square, FaceForensics; aligned,
// DeepfakeBench), 0 for the rest.
double usual_margin(CropKind kind);
inline constexpr double kMostMargin = 4.0;

struct FaceCrop {
  Image image;        // [size, size, 3]
  DetectedFace face;  // box (the smallest upright one) and landmarks in pixels of `image`
};

// Whether the face has a crop of this kind: all its numbers are finite, its box covers a pixel of
// the frame, and for kAligned its landmarks are apart from each other.
bool can_crop(const Image& frame, const DetectedFace& face, const CropOptions& options);

// can_crop() must be true, the size 1..kMaxImageSide and the margin 0..kMostMargin (CHECK).
// Stretching and shrinking is Pillow's BILINEAR (resample.h).
FaceCrop crop_face(const Image& frame, const DetectedFace& face, const CropOptions& options);

}  // namespace verace::data
