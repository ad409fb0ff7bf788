// Features are soft-edged shapes laid over the skin, one after the other.
#include "data/faces/texture.h"

namespace verace::data::faces {
namespace {

constexpr float kFeatureEdge = 0.02F;

float drawn(float inside) { return covered(inside, kFeatureEdge); }

float lattice(int32_t x, int32_t y, uint32_t seed) {
  uint32_t h = seed * 0x9E3779B9U ^ static_cast<uint32_t>(x) * 0x85EBCA6BU ^
               static_cast<uint32_t>(y) * 0xC2B2AE35U;
  h = (h ^ (h >> 15)) * 0x2C1B3C6DU;
  h = (h ^ (h >> 12)) * 0x297A2D39U;
  return static_cast<float>((h ^ (h >> 15)) >> 8) * 0x1p-24F;
}

Rgb eye(const Person& p, const Expression& e, Point q, float side, Rgb skin) {
  const float dx = (q.x - p.eye_distance) / p.eye_width;
  const float dy = q.y - p.eye_height;
  const float opening = p.eye_opening * e.eyes * (1.0F - dx * dx);
  if (std::abs(dx) > 1.3F) return skin;
  const float lid = 0.6F * bell(dx * dx * 0.7F + dy * dy / 0.03F);
  Rgb colour = mix(skin, skin * 0.55F, lid);
  if (std::abs(dx) > 1.2F || std::abs(dy) > 0.2F) return colour;
  const float ix = q.x - p.eye_distance - side * e.gaze.x;
  const float iy = dy - e.gaze.y;
  const float radius = std::sqrt(ix * ix + iy * iy);
  Rgb ball = mix({0.75F, 0.72F, 0.7F}, p.iris, drawn(0.068F - radius));
  ball = mix(ball, {0.01F, 0.01F, 0.01F}, drawn(0.032F - radius));
  colour = mix(colour, ball, drawn(opening - std::abs(dy)));
  // Lashes: the upper lid's edge is dark.
  const float lash = std::abs(dy + opening) - 0.012F;
  return mix(colour, {0.02F, 0.015F, 0.01F}, 0.8F * drawn(-lash) * drawn(1.0F - dx * dx));
}

Rgb brow(const Person& p, Point q, Rgb under) {
  const float dx = (q.x - p.eye_distance - 0.02F) / (p.eye_width * 1.5F);
  if (std::abs(dx) > 1.2F) return under;
  const float line = p.eye_height - p.brow_height + 0.05F * dx * dx + p.brow_slope * 0.15F * dx;
  const float thick = p.brow_thickness * (1.0F - 0.6F * dx * dx);
  const float hair = drawn(thick - std::abs(q.y - line)) * drawn((1.0F - std::abs(dx)) * 0.2F);
  return mix(under, p.hair * 0.5F, 0.85F * hair);
}

Rgb nostril(const Person& p, Point q, Rgb under) {
  const float dx = (q.x - p.nose_width * 0.5F) / 0.05F;
  const float dy = (q.y - p.eye_height - p.nose_length - 0.05F) / 0.035F;
  return mix(under, under * 0.25F, bell(dx * dx + dy * dy));
}

Rgb mouth(const Person& p, const Expression& e, Point q, Rgb under) {
  const float dx = q.x / (p.mouth_width * (1.0F + 0.3F * std::max(0.0F, e.smile)));
  if (dx > 1.1F) return under;
  const float taper = std::max(0.0F, 1.0F - dx * dx);
  const float line = p.mouth_height - e.smile * p.mouth_width * (dx * dx - 0.3F);
  const float above = line - q.y;  // positive over the line
  const float open = e.open * taper;
  const float reach = taper * p.lip_thickness + open;
  const float lips = drawn(above > 0 ? reach - above : reach * 1.15F + above);
  Rgb colour = mix(under, above > 0 ? p.lips * 0.8F : p.lips, lips);
  const float teeth = drawn(open - std::abs(above) - 0.01F);
  colour = mix(colour, above > -0.01F ? Rgb{0.6F, 0.57F, 0.52F} : Rgb{0.08F, 0.02F, 0.02F}, teeth);
  const float gap = drawn(0.012F - std::abs(std::abs(above) - open)) * drawn(taper - 0.02F);
  return mix(colour, p.lips * 0.15F, 0.8F * gap);
}

}  // namespace

float value_noise(Point p, uint32_t seed) {
  const float fx = std::floor(p.x);
  const float fy = std::floor(p.y);
  const auto x = static_cast<int32_t>(fx);
  const auto y = static_cast<int32_t>(fy);
  const float tx = smooth_step(0, 1, p.x - fx);
  const float ty = smooth_step(0, 1, p.y - fy);
  return mix(mix(lattice(x, y, seed), lattice(x + 1, y, seed), tx),
             mix(lattice(x, y + 1, seed), lattice(x + 1, y + 1, seed), tx), ty);
}

Rgb skin_and_features(const Person& p, const Expression& e, Point at) {
  const float side = at.x < 0 ? -1.0F : 1.0F;
  const Point q{at.x * side, at.y};  // both sides are alike but for the gaze
  Rgb colour = p.skin * (0.92F + 0.16F * value_noise({at.x * 6.0F, at.y * 6.0F}, p.texture + 2));
  const float cx = (q.x - 0.36F) / 0.25F;
  const float cy = (q.y - 0.3F) / 0.22F;
  colour = mix(colour, colour * Rgb{1.0F, 0.8F, 0.78F}, 0.7F * bell(cx * cx + cy * cy));
  const float jaw = smooth_step(0.25F, 0.6F, q.y + 0.5F * q.x * q.x);
  colour = mix(colour, p.hair * 0.6F + colour * 0.25F, p.beard * jaw);
  colour = nostril(p, q, colour);
  colour = mouth(p, e, q, colour);
  colour = eye(p, e, q, side, colour);
  return brow(p, q, colour);
}

}  // namespace verace::data::faces
