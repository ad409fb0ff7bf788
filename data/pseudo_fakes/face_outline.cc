// A template with depths, turned by where the nose is, and its convex hull.
#include "data/pseudo_fakes/face_outline.h"

#include <algorithm>
#include <cmath>

namespace verace::data {
namespace {

// In half distances of the eyes (u), in half distances from eyes to mouth (v); z as u, to the
// camera. Proportions of an average adult: the face at the cheekbones is 2.1 times as wide as the
// eyes' distance, and the chin is 1.7 times as far below the eyes as the mouth's middle.
struct Corner {
  float u, v, z;
};
constexpr std::array kHalfOutline = {Corner{0.75F, -1.95F, 0.3F},   // brow, its arch
                                     Corner{1.65F, -1.6F, -0.3F},   // brow, its end
                                     Corner{2.0F, -0.95F, -1.1F},   // temple
                                     Corner{2.05F, 0.0F, -1.2F},    // cheekbone
                                     Corner{1.8F, 1.15F, -0.9F},    // corner of the jaw
                                     Corner{1.15F, 2.05F, -0.2F},   // jaw
                                     Corner{0.45F, 2.45F, 0.25F}};  // chin
constexpr ImagePoint kUsualNose{0.0F, 0.0F};
constexpr float kMostTurn = 2.0F;  // tangent of the angle
constexpr float kMostNod = 0.35F;

float cross(ImagePoint o, ImagePoint a, ImagePoint b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

// Andrew's monotone chain.
std::vector<ImagePoint> convex_hull(std::vector<ImagePoint> points) {
  std::sort(points.begin(), points.end(),
            [](ImagePoint a, ImagePoint b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  std::vector<ImagePoint> hull;
  for (int side = 0; side < 2; ++side) {
    const size_t start = hull.size();
    for (const ImagePoint& point : points) {
      while (hull.size() >= start + 2 && cross(hull[hull.size() - 2], hull.back(), point) <= 0) {
        hull.pop_back();
      }
      hull.push_back(point);
    }
    hull.pop_back();
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

}  // namespace

FaceFrame face_frame(const FaceLandmarks& landmarks) {
  return {landmarks[kLeftEye], landmarks[kRightEye],
          (landmarks[kLeftMouth] + landmarks[kRightMouth]) * 0.5F};
}

const char* landmark_fault(const FaceLandmarks& landmarks) {
  for (const ImagePoint& point : landmarks) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) return "are not finite numbers";
  }
  const FaceFrame frame = face_frame(landmarks);
  const ImagePoint mouth = landmarks[kRightMouth] - landmarks[kLeftMouth];
  const float height = frame.down.x * frame.down.x + frame.down.y * frame.down.y;
  // Of a face from the side the eyes are nearly one behind the other: what is left of their
  // distance must still say where left and right are.
  constexpr float kLeast = 0.1F;
  if (frame.area() < -kLeast * height) return "have left and right exchanged";
  if (!(height > 0) || frame.area() < kLeast * height) return "are nearly on one line";
  if (mouth.x * frame.right.x + mouth.y * frame.right.y <= 0) {
    return "have left and right of eyes or mouth exchanged";
  }
  return "";
}

std::vector<ImagePoint> face_outline(const FaceLandmarks& landmarks) {
  const ImagePoint nose = face_frame(landmarks).coordinates(landmarks[kNose]);
  const float turn = std::clamp(nose.x - kUsualNose.x, -kMostTurn, kMostTurn);
  const float nod = std::clamp(nose.y - kUsualNose.y, -kMostNod, kMostNod);
  std::vector<ImagePoint> corners;
  for (const Corner& c : kHalfOutline) {
    for (const float side : {-1.0F, 1.0F}) {
      corners.push_back({side * c.u + turn * c.z, c.v + nod * c.z});
    }
  }
  return convex_hull(std::move(corners));
}

}  // namespace verace::data
