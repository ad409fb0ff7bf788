// The shape of a head: from a point of the picture to a place on the face, its normal, and what
// covers it.
#pragma once

#include <array>

#include "data/faces/model.h"

namespace verace::data::faces {

// A place on the head as the camera sees it.
struct Surface {
  Point on_picture;  // head coordinates: turned and scaled, but not moved by yaw and pitch
  Point on_face;     // where on the face that is: features keep their place here
  float inside = 0;  // 1 at the middle of the head, 0 at its outline, negative outside
  Direction normal;  // of the surface, x right, y down, z to the camera; (0, 0, 1) outside
};

class HeadGeometry {
 public:
  HeadGeometry(const Person& person, const Pose& pose);

  // Of a point of the picture, in its sides (0..1).
  Surface at(Point point) const;
  // Head coordinates of a point of the picture, and back.
  Point to_head(Point point) const;
  Point to_picture(Point head) const;
  // Where a place on the face is seen, in sides of the picture.
  Point landmark(Point on_face) const;

 private:
  Direction normal(Point head, Point face, float depth) const;
  float narrowing(float y) const;

  const Person& person_;
  Pose pose_;
  Point right_;  // the head's x axis in the picture, of length 1
};

// The landmarks by which faces are aligned: both eyes and the mouth.
struct Landmarks {
  Point left_eye, right_eye, mouth;
};
Landmarks landmarks(const Person& person, const Pose& pose);
// Those that detectors of faces give (data/detected_face.h): eyes, tip of the nose, corners of the
// mouth, as seen in the picture; in its sides.
std::array<Point, kFaceLandmarks> five_landmarks(const Person& person, const Pose& pose);

}  // namespace verace::data::faces
