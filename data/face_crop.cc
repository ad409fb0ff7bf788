// Each kind of crop as a map from the frame to the crop, which also takes the landmarks along.
#include "data/face_crop.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include "data/face_geometry.h"
#include "data/resample.h"
#include "data/warp.h"
#include "kernels/check.h"

namespace verace::data {
namespace {

// J. Deng et al., "ArcFace", 2019: where the landmarks are in the published 112 x 112 crops.
constexpr std::array<ImagePoint, kFaceLandmarks> kTemplate = {{{38.2946F, 51.6963F},
                                                               {73.5318F, 51.5014F},
                                                               {56.0252F, 71.7366F},
                                                               {41.5493F, 92.3655F},
                                                               {70.7299F, 92.2041F}}};
constexpr double kTemplateSize = 112;
// Target pixels per source pixel: beyond that no landmarks of a face can be.
constexpr double kLeastScale = 1.0 / 128, kMostScale = 1024;
// Pixels of the crop; what is farther away is no part of a face.
constexpr float kMostCoordinate = 1e6F;

struct Rectangle {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

// Whole pixels from `low` to `high`, rounded down, at least one, inside of [0, size).
std::pair<int64_t, int64_t> whole_pixels(double low, double high, int64_t size) {
  const double limit = static_cast<double>(size);
  const auto begin = static_cast<int64_t>(std::clamp(std::floor(low), 0.0, limit - 1));
  const auto end = static_cast<int64_t>(std::clamp(std::floor(high), 0.0, limit));
  return {begin, std::max(end, begin + 1)};
}

Rectangle stretched_rectangle(const Image& frame, const FaceBox& box, double margin) {
  const double width = static_cast<double>(box.x2) - box.x1;
  const double height = static_cast<double>(box.y2) - box.y1;
  const auto [x1, x2] = whole_pixels(box.x1 - margin * width, box.x2 + margin * width, frame.width);
  const auto [y1, y2] =
      whole_pixels(box.y1 - margin * height, box.y2 + margin * height, frame.height);
  return {x1, y1, x2 - x1, y2 - y1};
}

// Where a side of `side` pixels about `middle` begins: inside of [0, size) if it fits, else so
// that both ends lack alike.
int64_t shifted_begin(double middle, int64_t side, int64_t size) {
  if (side >= size) return (size - side) / 2;
  const double begin = std::round(middle - static_cast<double>(side) / 2);
  return static_cast<int64_t>(std::clamp(begin, 0.0, static_cast<double>(size - side)));
}

Rectangle square_rectangle(const Image& frame, const FaceBox& box, double margin) {
  const double width = static_cast<double>(box.x2) - box.x1;
  const double height = static_cast<double>(box.y2) - box.y1;
  // A square of the picture's longer side holds the whole picture: a larger one only more black.
  const double most = static_cast<double>(std::max(frame.width, frame.height));
  const double wanted = std::round(std::max(width, height) * (1 + margin));
  const auto side = static_cast<int64_t>(std::clamp(wanted, 1.0, most));
  return {shifted_begin(box.x1 + width / 2, side, frame.width),
          shifted_begin(box.y1 + height / 2, side, frame.height), side, side};
}

AffineMap to_square(const Rectangle& from, int64_t size) {
  const double side = static_cast<double>(size);
  return translation(-static_cast<double>(from.x), -static_cast<double>(from.y))
      .then(
          scaling(side / static_cast<double>(from.width), side / static_cast<double>(from.height)));
}

// Degrees, counter-clockwise, that bring the eyes level. Derived from the triangle of the eyes as
// retina-face had it; where they stand one above the other it has no angle unless the left is
// lower.
double eye_angle(const DetectedFace& face) {
  const ImagePoint& left = face.landmarks[kLeftEye];
  const ImagePoint& right = face.landmarks[kRightEye];
  const double dx = static_cast<double>(right.x) - left.x;
  const double dy = static_cast<double>(right.y) - left.y;
  if (dx == 0 && dy >= 0) return 0;
  const double angle = std::atan2(std::abs(dy), std::abs(dx)) * 180 / std::numbers::pi;
  return dy < 0 ? -angle : angle;
}

std::optional<AffineMap> alignment(const DetectedFace& face, const CropOptions& options) {
  const double scale = static_cast<double>(options.size) / (kTemplateSize * (1 + options.margin));
  const double middle = static_cast<double>(options.size) / 2;
  const AffineMap place = translation(-kTemplateSize / 2, -kTemplateSize / 2)
                              .then(scaling(scale, scale))
                              .then(translation(middle, middle));
  std::array<ImagePoint, kFaceLandmarks> target = kTemplate;
  for (ImagePoint& point : target) point = place(point);
  std::optional<AffineMap> map = fit_similarity(face.landmarks, target);
  if (!map) return map;
  const double factor = std::hypot(map->xx, map->yx);
  if (!(factor >= kLeastScale && factor <= kMostScale)) return std::nullopt;
  return map;
}

// How a crop is made.
struct Plan {
  Rectangle from;      // of the frame; not of kAligned
  double degrees = 0;  // by which it is turned
  AffineMap map;       // from the frame to the crop
};

Plan plan_turned(const Rectangle& from, double degrees, int64_t size) {
  const AffineMap map = translation(-static_cast<double>(from.x), -static_cast<double>(from.y))
                            .then(rotation_of(from.height, from.width, degrees))
                            .then(to_square({0, 0, from.width, from.height}, size));
  return {from, degrees, map};
}

std::optional<Plan> plan_of(const Image& frame, const DetectedFace& face, const CropOptions& o) {
  switch (o.kind) {
    case CropKind::kTight:
    case CropKind::kMargin: {
      const double margin = o.kind == CropKind::kTight ? 0 : o.margin;
      const Rectangle from = stretched_rectangle(frame, face.box, margin);
      return Plan{from, 0, to_square(from, o.size)};
    }
    case CropKind::kSquare: {
      const Rectangle from = square_rectangle(frame, face.box, o.margin);
      return Plan{from, 0, to_square(from, o.size)};
    }
    case CropKind::kEyeAngle:
      return plan_turned(stretched_rectangle(frame, face.box, 0), eye_angle(face), o.size);
    case CropKind::kAligned:
      break;
  }
  const std::optional<AffineMap> map = alignment(face, o);
  if (!map) return std::nullopt;
  return Plan{{}, 0, *map};
}

bool is_near(const DetectedFace& face) {
  const FaceBox& box = face.box;
  bool near = true;
  const auto see = [&near](float value) { near &= std::abs(value) <= kMostCoordinate; };
  for (const float side : {box.x1, box.y1, box.x2, box.y2}) see(side);
  for (const ImagePoint& point : face.landmarks) {
    see(point.x);
    see(point.y);
  }
  return near;
}

}  // namespace

double usual_margin(CropKind kind) {
  switch (kind) {
    case CropKind::kMargin:
      return 0.125;
    case CropKind::kSquare:
    case CropKind::kAligned:
      return 0.3;
    case CropKind::kTight:
    case CropKind::kEyeAngle:
      break;
  }
  return 0;
}

bool can_crop(const Image& frame, const DetectedFace& face, const CropOptions& options) {
  VERACE_CHECK(options.size >= 1 && options.size <= kMaxImageSide);
  VERACE_CHECK(options.margin >= 0 && options.margin <= kMostMargin);
  if (!is_usable(face, frame.height, frame.width)) return false;
  const std::optional<Plan> plan = plan_of(frame, face, options);
  return plan && is_near(mapped(face, plan->map));
}

FaceCrop crop_face(const Image& frame, const DetectedFace& face, const CropOptions& options) {
  VERACE_CHECK(can_crop(frame, face, options));
  const Plan plan = plan_of(frame, face, options).value();
  const DetectedFace inside = mapped(face, plan.map);
  const int64_t size = options.size;
  if (options.kind == CropKind::kAligned) return {warp(frame, plan.map, size, size), inside};
  const Rectangle& from = plan.from;
  const Image part = cut(frame, from.x, from.y, from.height, from.width);
  return {resize(rotate_nearest(part, plan.degrees), size, size, ResizeFilter::kBilinear), inside};
}

}  // namespace verace::data
