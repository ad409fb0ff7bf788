// The outline of a face from its five landmarks: brows, temples, cheeks, jaw and chin.
#pragma once

#include <array>
#include <vector>

#include "data/detected_face.h"
#include "data/face_frame.h"

namespace verace::data {

using FaceLandmarks = std::array<ImagePoint, kFaceLandmarks>;

// The frame of a face with five landmarks.
FaceFrame face_frame(const FaceLandmarks& landmarks);

// Why the landmarks are no face; empty: they are. Not finite, on one line, or left and right
// exchanged (the right eye is the one with the larger x where the face stands upright).
const char* landmark_fault(const FaceLandmarks& landmarks);

// The corners of a convex outline in the face's coordinates (data/face_frame.h), in the order in
// which x turns to y.
//
// Detectors that give 68 or 81 points say where the outline is; here it is a template: the outline
// of a face of usual proportions, as places (u, v) and their depths z behind or before the plane of
// eyes and mouth. Where the nose, which stands out of that plane, is seen beside its usual place,
// the head is turned by that much, and each corner moves by its own depth: of a head that looks to
// the right the right cheek comes nearer to the eye and the left one goes further away. Turns are
// believed up to what a detector still sees; noses differ in length, so that nodding is believed
// less.
std::vector<ImagePoint> face_outline(const FaceLandmarks& landmarks);

}  // namespace verace::data
