// Plane geometry in double; coordinates are stored as float.
#include "data/face_geometry.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::data {
namespace {

struct Mean {
  double x = 0, y = 0;
};

Mean mean_of(std::span<const ImagePoint> points) {
  Mean mean;
  for (const ImagePoint& point : points) {
    mean.x += point.x;
    mean.y += point.y;
  }
  mean.x /= static_cast<double>(points.size());
  mean.y /= static_cast<double>(points.size());
  return mean;
}

}  // namespace

double area(const FaceBox& box) {
  const double width = static_cast<double>(box.x2) - box.x1;
  const double height = static_cast<double>(box.y2) - box.y1;
  return width > 0 && height > 0 ? width * height : 0.0;
}

FaceBox intersection(const FaceBox& a, const FaceBox& b) {
  return {std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
}

double intersection_over_union(const FaceBox& a, const FaceBox& b) {
  const double both = area(intersection(a, b));
  const double either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0.0;
}

void sort_by_area(std::vector<DetectedFace>& faces) {
  std::stable_sort(faces.begin(), faces.end(), [](const DetectedFace& a, const DetectedFace& b) {
    const double first = area(a.box), second = area(b.box);
    return first != second ? first > second : a.score > b.score;
  });
}

bool is_usable(const DetectedFace& face, int64_t picture_height, int64_t picture_width) {
  const FaceBox& box = face.box;
  for (const float value : {box.x1, box.y1, box.x2, box.y2, face.score}) {
    if (!std::isfinite(value)) return false;
  }
  for (const ImagePoint& point : face.landmarks) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) return false;
  }
  const FaceBox picture = {0, 0, static_cast<float>(picture_width),
                           static_cast<float>(picture_height)};
  return area(intersection(box, picture)) >= 1.0;
}

ImagePoint AffineMap::operator()(const ImagePoint& point) const {
  return {static_cast<float>(xx * point.x + xy * point.y + x0),
          static_cast<float>(yx * point.x + yy * point.y + y0)};
}

AffineMap AffineMap::then(const AffineMap& next) const {
  return {next.xx * xx + next.xy * yx,           next.xx * xy + next.xy * yy,
          next.xx * x0 + next.xy * y0 + next.x0, next.yx * xx + next.yy * yx,
          next.yx * xy + next.yy * yy,           next.yx * x0 + next.yy * y0 + next.y0};
}

AffineMap AffineMap::inverse() const {
  const double determinant = xx * yy - xy * yx;
  VERACE_CHECK(determinant != 0 && std::isfinite(determinant));
  const AffineMap turn = {yy / determinant,  -xy / determinant, 0,
                          -yx / determinant, xx / determinant,  0};
  return translation(-x0, -y0).then(turn);
}

AffineMap translation(double x, double y) { return {1, 0, x, 0, 1, y}; }

AffineMap scaling(double x, double y) { return {x, 0, 0, 0, y, 0}; }

// With points as complex numbers about their means, z -> w, the sum of |k z - w|^2 is least for
// k = sum(conj(z) w) / sum(|z|^2): a rotation by k's angle and a scale by its length.
std::optional<AffineMap> fit_similarity(std::span<const ImagePoint> from,
                                        std::span<const ImagePoint> to) {
  VERACE_CHECK(from.size() == to.size() && !from.empty());
  const Mean source = mean_of(from), target = mean_of(to);
  double along = 0, across = 0, spread = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const double x = from[i].x - source.x, y = from[i].y - source.y;
    const double u = to[i].x - target.x, v = to[i].y - target.y;
    along += x * u + y * v;
    across += x * v - y * u;
    spread += x * x + y * y;
  }
  if (!(spread > 0) || (along == 0 && across == 0)) return std::nullopt;
  const double cosine = along / spread, sine = across / spread;
  const AffineMap turn = {cosine, -sine, 0, sine, cosine, 0};
  return translation(-source.x, -source.y).then(turn).then(translation(target.x, target.y));
}

DetectedFace mapped(const DetectedFace& face, const AffineMap& map) {
  DetectedFace result = face;
  const FaceBox& box = face.box;
  const std::array<ImagePoint, 4> corners = {map({box.x1, box.y1}), map({box.x2, box.y1}),
                                             map({box.x1, box.y2}), map({box.x2, box.y2})};
  result.box = {corners[0].x, corners[0].y, corners[0].x, corners[0].y};
  for (const ImagePoint& corner : corners) {
    result.box.x1 = std::min(result.box.x1, corner.x);
    result.box.y1 = std::min(result.box.y1, corner.y);
    result.box.x2 = std::max(result.box.x2, corner.x);
    result.box.y2 = std::max(result.box.y2, corner.y);
  }
  for (ImagePoint& point : result.landmarks) point = map(point);
  return result;
}

}  // namespace verace::data
