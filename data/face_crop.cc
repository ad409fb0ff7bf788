// Each kind of crop as a map from the frame to the crop, which also takes the landmarks along.
#include "data/face_crop.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

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

// The part of the frame, and where the face is in it once it is stretched to the square.
FaceCrop stretched(const Image& frame, const DetectedFace& face, const Rectangle& from,
                   int64_t size) {
  const Image part = cut(frame, from.x, from.y, from.height, from.width);
  return {resize(part, size, size, ResizeFilter::kBilinear), mapped(face, to_square(from, size))};
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

FaceCrop turned(const Image& frame, const DetectedFace& face, int64_t size) {
  const Rectangle from = stretched_rectangle(frame, face.box, 0);
  const Image part = cut(frame, from.x, from.y, from.height, from.width);
  const double degrees = eye_angle(face);
  const AffineMap map = translation(-static_cast<double>(from.x), -static_cast<double>(from.y))
                            .then(rotation_of(part, degrees))
                            .then(to_square({0, 0, from.width, from.height}, size));
  return {resize(rotate_nearest(part, degrees), size, size, ResizeFilter::kBilinear),
          mapped(face, map)};
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
  if (!is_usable(face, frame.height, frame.width)) return false;
  return options.kind != CropKind::kAligned || alignment(face, options).has_value();
}

FaceCrop crop_face(const Image& frame, const DetectedFace& face, const CropOptions& options) {
  VERACE_CHECK(can_crop(frame, face, options));
  VERACE_CHECK(options.size >= 1 && options.size <= kMaxImageSide);
  VERACE_CHECK(options.margin >= 0 && options.margin <= kMostMargin);
  switch (options.kind) {
    case CropKind::kTight:
      return stretched(frame, face, stretched_rectangle(frame, face.box, 0), options.size);
    case CropKind::kMargin:
      return stretched(frame, face, stretched_rectangle(frame, face.box, options.margin),
                       options.size);
    case CropKind::kSquare:
      return stretched(frame, face, square_rectangle(frame, face.box, options.margin),
                       options.size);
    case CropKind::kEyeAngle:
      return turned(frame, face, options.size);
    case CropKind::kAligned:
      break;
  }
  const AffineMap map = alignment(face, options).value();
  return {warp(frame, map, options.size, options.size), mapped(face, map)};
}

}  // namespace verace::data
