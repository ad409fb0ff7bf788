// The head is an ellipsoid that narrows towards the chin, with bumps for what stands out of it.
#include "data/faces/geometry.h"

#include <span>

namespace verace::data::faces {
namespace {

// How far the face's middle moves when the head turns by yaw or pitch 1.
constexpr float kTurn = 0.6F;
// Depth of the ellipsoid: larger is flatter.
constexpr float kFlatness = 0.75F;

// A bell on the surface.
struct Bump {
  Point centre;
  float rx, ry;
  float height;
};

// Adds the slope of a bump at p.
void add_slope(const Bump& bump, Point p, Point& slope) {
  const float dx = (p.x - bump.centre.x) / bump.rx;
  const float dy = (p.y - bump.centre.y) / bump.ry;
  const float t = 1.0F - dx * dx - dy * dy;
  if (t <= 0.0F) return;
  slope.x -= 4.0F * bump.height * t * dx / bump.rx;
  slope.y -= 4.0F * bump.height * t * dy / bump.ry;
}

// The relief of one side of the face; the other one is its mirror image.
Point relief_slope(const Person& p, Point at) {
  const float side = at.x < 0 ? -1.0F : 1.0F;
  const Point q{at.x * side, at.y};
  const float tip = p.eye_height + p.nose_length;
  const float middle = p.eye_height + 0.5F * p.nose_length;
  Point slope;
  const Bump bumps[] = {
      {{p.eye_distance, p.eye_height}, 0.22F, 0.16F, -0.06F},       // socket
      {{p.eye_distance, p.eye_height}, p.eye_width, 0.11F, 0.05F},  // eyeball
      {{p.eye_distance, p.eye_height - p.brow_height}, 0.3F, 0.12F, p.brow_relief},
      {{p.eye_distance + 0.1F, p.eye_height + 0.33F}, 0.3F, 0.26F, p.cheek_relief},
      {{p.nose_width * 0.8F, tip}, p.nose_width * 0.6F, 0.08F, 0.05F},           // wing
      {{0, middle}, p.nose_width, 0.65F * p.nose_length, p.nose_relief * 0.6F},  // bridge
      {{0, tip - 0.02F}, p.nose_width * 1.2F, 0.12F, p.nose_relief * 0.5F},      // tip
      {{0, p.mouth_height}, p.mouth_width * 1.2F, p.lip_thickness * 2.2F, 0.05F},
      {{0, 0.88F}, 0.26F, 0.16F, 0.06F},  // chin
  };
  for (const Bump& bump : bumps) add_slope(bump, q, slope);
  slope.x *= side;
  return slope;
}

}  // namespace

HeadGeometry::HeadGeometry(const Person& person, const Pose& pose)
    : person_(person), pose_(pose), right_{1, 0} {
  const float length = std::sqrt(1.0F + pose.roll * pose.roll);
  right_ = {1.0F / length, pose.roll / length};
}

Point HeadGeometry::to_head(Point point) const {
  const float x = (point.x - pose_.centre.x) / pose_.scale;
  const float y = (point.y - pose_.centre.y) / pose_.scale;
  return {x * right_.x + y * right_.y, y * right_.x - x * right_.y};
}

Point HeadGeometry::to_picture(Point head) const {
  return {pose_.centre.x + pose_.scale * (head.x * right_.x - head.y * right_.y),
          pose_.centre.y + pose_.scale * (head.x * right_.y + head.y * right_.x)};
}

// Square of the outline's width at height y, in head widths of an ellipse.
float HeadGeometry::narrowing(float y) const { return y > 0 ? 1.0F - person_.jaw * y * y : 1.0F; }

Surface HeadGeometry::at(Point point) const {
  Surface s;
  s.on_picture = to_head(point);
  const Point h = s.on_picture;
  const float width = person_.head_width;
  const float narrow = h.y < 1.2F ? narrowing(h.y) : narrowing(1.2F);
  const float square = h.x * h.x / (width * width * narrow) + h.y * h.y;
  s.inside = 1.0F - std::sqrt(square);
  const float depth = std::sqrt(std::max(0.0F, 1.0F - square));
  s.on_face = {h.x - pose_.yaw * kTurn * depth, h.y - pose_.pitch * kTurn * depth};
  s.normal = s.inside > 0 ? normal(h, s.on_face, depth) : Direction{0, 0, 1};
  return s;
}

Direction HeadGeometry::normal(Point head, Point face, float depth) const {
  const Point slope = relief_slope(person_, face);
  const float width = person_.head_width;
  return normalised({head.x / (width * width * narrowing(head.y)) * width - slope.x * depth,
                     head.y * kFlatness - slope.y * depth, depth / kFlatness + 0.1F});
}

// The inverse of on_face: the depth there changes slowly, three rounds are enough.
Point HeadGeometry::landmark(Point on_face) const {
  Point h = on_face;
  const float width = person_.head_width;
  for (int i = 0; i < 3; ++i) {
    const float square = h.x * h.x / (width * width * narrowing(h.y)) + h.y * h.y;
    const float depth = std::sqrt(std::max(0.0F, 1.0F - square));
    h = {on_face.x + pose_.yaw * kTurn * depth, on_face.y + pose_.pitch * kTurn * depth};
  }
  return to_picture(h);
}

Landmarks landmarks(const Person& p, const Pose& pose) {
  const HeadGeometry head(p, pose);
  return {head.landmark({-p.eye_distance, p.eye_height}),
          head.landmark({p.eye_distance, p.eye_height}), head.landmark({0, p.mouth_height})};
}

std::array<Point, kFaceLandmarks> five_landmarks(const Person& p, const Pose& pose) {
  const HeadGeometry head(p, pose);
  const Landmarks eyes = landmarks(p, pose);
  return {eyes.left_eye, eyes.right_eye, head.landmark({0, p.eye_height + p.nose_length - 0.02F}),
          head.landmark({-p.mouth_width, p.mouth_height}),
          head.landmark({p.mouth_width, p.mouth_height})};
}

}  // namespace verace::data::faces
