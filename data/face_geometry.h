// Boxes and landmarks of faces: overlap, order, and the similarity that lays points over points.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/detected_face.h"

namespace verace::data {

// Square pixels; 0 for a box without extent.
double area(const FaceBox& box);
// The part that both cover; without extent where they do not meet.
FaceBox intersection(const FaceBox& a, const FaceBox& b);
// Area of the part that both cover by the area that either covers, [0, 1]; 0 where neither has any.
double intersection_over_union(const FaceBox& a, const FaceBox& b);

// The largest box first; equal ones by score, the surest first, then in the given order.
void sort_by_area(std::vector<DetectedFace>& faces);

// Whether all numbers are finite and the box covers at least one pixel's area of the picture.
bool is_usable(const DetectedFace& face, int64_t picture_height, int64_t picture_width);

// x' = xx x + xy y + x0, y' = yx x + yy y + y0.
struct AffineMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;

  ImagePoint operator()(const ImagePoint& point) const;
  // First this, then `next`.
  AffineMap then(const AffineMap& next) const;
  // The way back; the map must have one (CHECK).
  AffineMap inverse() const;
};

AffineMap translation(double x, double y);
// About the origin.
AffineMap scaling(double x, double y);

// The rotation, uniform scale and shift (no mirroring) that bring `from` nearest to `to`: least
// sum of squared distances. S. Umeyama, "Least-squares estimation of transformation parameters
// between two point patterns", IEEE PAMI 13(4), 1991, equations 40-43; in the plane they have a
// closed form. Equal numbers of points (CHECK), all finite. Empty where `from` is one single place
// or no direction fits better than another.
std::optional<AffineMap> fit_similarity(std::span<const ImagePoint> from,
                                        std::span<const ImagePoint> to);

// Box and landmarks under the map; the box becomes the smallest upright one around its corners.
DetectedFace mapped(const DetectedFace& face, const AffineMap& map);

}  // namespace verace::data
