// A face that a detector has found in a picture: its box, its five landmarks, and how sure the
// detector is.
#pragma once

#include <array>

namespace verace::data {

// Pixels of the picture, x to the right and y down; (0, 0) is the corner of the first pixel, so
// that the centre of pixel (i, j) is (i + 0.5, j + 0.5).
struct ImagePoint {
  float x = 0, y = 0;
};

// May reach beyond the picture.
struct FaceBox {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  float width() const { return x2 - x1; }
  float height() const { return y2 - y1; }
};

// Places in DetectedFace::landmarks; left and right as seen in the picture.
enum FaceLandmark { kLeftEye, kRightEye, kNose, kLeftMouth, kRightMouth };
inline constexpr int kFaceLandmarks = 5;

struct DetectedFace {
  FaceBox box;
  std::array<ImagePoint, kFaceLandmarks> landmarks;
  float score = 0;  // probability of being a face, [0, 1]
};

}  // namespace verace::data
