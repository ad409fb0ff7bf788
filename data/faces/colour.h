// Points, colours in linear light, and pictures made of them: what the face renderer works with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "data/detected_face.h"

namespace verace::data::faces {

using Point = ImagePoint;

struct Direction {
  float x = 0;
  float y = 0;
  float z = 1;
};

// Linear light, 0 black, 1 white; may pass 1 before the camera cuts it off.
struct Rgb {
  float r = 0;
  float g = 0;
  float b = 0;
};

inline Rgb operator+(Rgb a, Rgb b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
inline Rgb operator-(Rgb a, Rgb b) { return {a.r - b.r, a.g - b.g, a.b - b.b}; }
inline Rgb operator*(Rgb a, float k) { return {a.r * k, a.g * k, a.b * k}; }
inline Rgb operator*(Rgb a, Rgb b) { return {a.r * b.r, a.g * b.g, a.b * b.b}; }
inline Rgb mix(Rgb a, Rgb b, float share) { return a + (b - a) * share; }

inline float mix(float a, float b, float share) { return a + (b - a) * share; }

// 0 below `low`, 1 above `high`, smooth between.
inline float smooth_step(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.0F, 1.0F);
  return t * t * (3.0F - 2.0F * t);
}

// How much of a ray is covered by a shape with a soft edge of the width 2 * `edge`, by the distance
// from its outline, positive inside.
inline float covered(float inside, float edge) { return smooth_step(-edge, edge, inside); }

// A bell of height 1 over the unit disc, by the squared radius; nothing outside. No exp(): only
// operations that round equally on every machine.
inline float bell(float square_radius) {
  const float t = std::max(0.0F, 1.0F - square_radius);
  return t * t;
}

inline Direction normalised(Direction d) {
  const float length = std::sqrt(d.x * d.x + d.y * d.y + d.z * d.z);
  return {d.x / length, d.y / length, d.z / length};
}

inline float dot(Direction a, Direction b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// size x size colours, rows from the top.
struct Picture {
  int64_t size = 0;
  std::vector<Rgb> pixels;

  explicit Picture(int64_t side) : size(side), pixels(static_cast<size_t>(side * side)) {}
  Rgb& at(int64_t y, int64_t x) { return pixels[static_cast<size_t>(y * size + x)]; }
  const Rgb& at(int64_t y, int64_t x) const { return pixels[static_cast<size_t>(y * size + x)]; }
};

}  // namespace verace::data::faces
