// The parameters of a drawn face: the person, and one shot of that person. Drawn from (seed,
// number).
//
// Lengths are in half heights of the head, x to the right, y down, z to the camera, from the middle
// of the head; crown -1, chin +1.
#pragma once

#include <array>
#include <cstdint>

#include "data/faces/colour.h"

namespace verace::data::faces {

// What stays the same in all pictures of one identity.
struct Person {
  Rgb skin, lips, hair, iris, clothes;
  float head_width = 0.75F;  // half of it
  float jaw = 0.2F;          // how much narrower the head becomes towards the chin
  float eye_distance = 0.3F, eye_height = -0.05F, eye_width = 0.14F, eye_opening = 0.07F;
  float brow_height = 0.17F, brow_thickness = 0.035F, brow_slope = 0;
  float nose_length = 0.33F, nose_width = 0.1F, nose_relief = 0.2F;
  float mouth_height = 0.52F, mouth_width = 0.22F, lip_thickness = 0.06F;
  float cheek_relief = 0.1F, brow_relief = 0.1F;
  float hairline = -0.55F, hair_volume = 0.12F, hair_length = 0.2F, hair_side = 0;
  float beard = 0;  // darkness of the lower face
  uint32_t texture = 0;
};

struct Light {
  Direction direction;
  float ambient = 0.4F;
  Rgb colour;
};

struct Pose {
  Point centre{0.5F, 0.5F};  // of the head, in sides of the picture
  float scale = 0.33F;       // half height of the head, in sides of the picture
  float roll = 0;            // tangent of the angle in the plane of the picture
  float yaw = 0, pitch = 0;  // how far the middle of the face moves to the right and down
};

struct Expression {
  bool smiles = false;
  float smile = 0;  // how far the mouth's corners stand above its middle, in mouth widths
  float open = 0;   // height of the open mouth
  float eyes = 1;   // factor of the eyes' opening
  Point gaze;
};

// What makes pixels of the light; equal everywhere in an honest photograph.
struct Camera {
  float softness = 0;  // 0 sharp .. 1 the mean of 3 x 3 pixels
  float noise = 3;     // largest change of an 8-bit value
  Rgb gain{1, 1, 1};   // exposure and white balance
};

struct Background {
  struct Spot {
    Point centre;
    float radius = 0;
    Rgb colour;
  };
  Rgb top, bottom;
  std::array<Spot, 5> spots;
  float grain = 0;     // strength of a texture over it, 0..1
  float fineness = 8;  // of the texture: its features in one side of the picture
  uint32_t texture = 0;
};

// One picture of a person.
struct Shot {
  Pose pose;
  Expression expression;
  Light light;
  Background background;
  Camera camera;
  int jpeg_quality = 85;
};

Person draw_person(uint64_t seed, int64_t person);

// One video: `shot` number, and its frames, between which pose, light and expression change a
// little. Whether the person smiles is drawn for each frame.
Shot draw_shot(uint64_t seed, int64_t shot, int64_t frame);

}  // namespace verace::data::faces
