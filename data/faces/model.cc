// Ranges of the parameters: chosen so that drawn faces differ as much as the ones of a crowd.
#include "data/faces/model.h"

#include "data/draws.h"

namespace verace::data::faces {
namespace {

constexpr uint8_t kPersonStream = 0xD4;
constexpr uint8_t kShotStream = 0xD5;
constexpr uint8_t kFrameStream = 0xD6;
constexpr int64_t kMaxFrames = 4096;

// Pictures store about the square root of light.
Rgb from_display(float r, float g, float b) { return {r * r, g * g, b * b}; }

Rgb draw_colour(Draws& draws, float low, float high) {
  const float r = draws.between(low, high);
  const float g = draws.between(low, high);
  return from_display(r, g, draws.between(low, high));
}

// Less colourful: what stands behind people seldom shines.
Rgb draw_muted_colour(Draws& draws, float low, float high) {
  const Rgb colour = draw_colour(draws, low, high);
  const float grey = (colour.r + colour.g + colour.b) / 3.0F;
  return mix(colour, {grey, grey, grey}, draws.between(0.2F, 0.8F));
}

Rgb draw_skin(Draws& draws) {
  const float tone = draws.between(0, 1);
  const Rgb light = from_display(0.96F, 0.80F, 0.70F);
  const Rgb dark = from_display(0.46F, 0.31F, 0.23F);
  const Rgb warm{1.0F, draws.between(0.92F, 1.06F), draws.between(0.85F, 1.1F)};
  return mix(light, dark, tone) * warm;
}

Rgb draw_hair(Draws& draws) {
  const float tone = draws.between(0, 1);
  const Rgb colour = tone < 0.55F ? mix(from_display(0.10F, 0.08F, 0.07F),
                                        from_display(0.38F, 0.24F, 0.15F), tone / 0.55F)
                                  : mix(from_display(0.45F, 0.25F, 0.14F),
                                        from_display(0.82F, 0.68F, 0.42F), (tone - 0.55F) / 0.45F);
  const bool grey = draws.chance(0.12F);
  const float shade = draws.between(0.5F, 0.8F);
  return grey ? from_display(shade, shade, shade) : colour;
}

Direction draw_light(Draws& draws) {
  Direction d;
  d.x = draws.between(-1.0F, 1.0F);
  d.y = draws.between(-0.9F, 0.2F);
  d.z = draws.between(0.35F, 0.8F);
  return normalised(d);
}

Background draw_background(Draws& draws) {
  Background b;
  b.top = draw_muted_colour(draws, 0.15F, 0.9F);
  b.bottom = draw_muted_colour(draws, 0.15F, 0.9F);
  for (Background::Spot& spot : b.spots) {
    spot.centre.x = draws.between(0, 1);
    spot.centre.y = draws.between(0, 1);
    spot.radius = draws.between(0.05F, 0.3F);
    spot.colour = draw_muted_colour(draws, 0.1F, 0.95F);
  }
  b.grain = draws.between(0.0F, 0.9F);
  b.fineness = draws.between(4.0F, 32.0F);
  b.texture = static_cast<uint32_t>(draws.between(0, 1e6F));
  return b;
}

}  // namespace

Person draw_person(uint64_t seed, int64_t person) {
  Draws draws(engine::Philox(seed, stream_of(kPersonStream, person)));
  Person p;
  p.skin = draw_skin(draws);
  p.lips = mix(p.skin, from_display(0.72F, 0.25F, 0.28F), draws.between(0.3F, 0.8F));
  p.hair = draw_hair(draws);
  p.iris =
      mix(from_display(0.25F, 0.15F, 0.08F), from_display(0.3F, 0.5F, 0.65F), draws.between(0, 1));
  p.clothes = draw_muted_colour(draws, 0.1F, 0.9F);
  p.head_width = draws.between(0.66F, 0.82F);
  p.jaw = draws.between(0.0F, 0.4F);
  p.eye_distance = draws.around(0.31F, 0.06F);
  p.eye_height = draws.around(-0.06F, 0.08F);
  p.eye_width = draws.around(0.145F, 0.03F);
  p.eye_opening = draws.around(0.075F, 0.03F);
  p.brow_height = draws.around(0.19F, 0.05F);
  p.brow_thickness = draws.between(0.02F, 0.055F);
  p.brow_slope = draws.around(0.05F, 0.2F);
  p.nose_length = draws.around(0.36F, 0.1F);
  p.nose_width = draws.around(0.12F, 0.04F);
  p.nose_relief = draws.between(0.12F, 0.3F);
  p.mouth_height = draws.around(0.56F, 0.07F);
  p.mouth_width = draws.around(0.25F, 0.07F);
  p.lip_thickness = draws.between(0.04F, 0.09F);
  p.cheek_relief = draws.between(0.02F, 0.16F);
  p.brow_relief = draws.between(0.02F, 0.14F);
  p.hairline = draws.between(-0.75F, -0.45F);
  p.hair_volume = draws.between(0.04F, 0.22F);
  p.hair_length = draws.between(-0.4F, 1.3F);
  p.hair_side = draws.around(0, 0.3F);
  p.beard = draws.chance(0.3F) ? draws.between(0.15F, 0.6F) : 0.0F;
  p.texture = static_cast<uint32_t>(draws.between(0, 1e6F));
  return p;
}

Shot draw_shot(uint64_t seed, int64_t shot, int64_t frame) {
  Draws draws(engine::Philox(seed, stream_of(kShotStream, shot)));
  Draws small(engine::Philox(seed, stream_of(kFrameStream, shot * kMaxFrames + frame)));
  Shot s;
  s.pose.centre = {draws.around(0.5F, 0.04F) + small.around(0, 0.015F),
                   draws.around(0.48F, 0.03F) + small.around(0, 0.015F)};
  s.pose.scale = draws.between(0.37F, 0.42F) * small.around(1, 0.03F);
  s.pose.roll = draws.around(0, 0.2F) + small.around(0, 0.05F);
  s.pose.yaw = draws.around(0, 0.25F) + small.around(0, 0.06F);
  s.pose.pitch = draws.around(0, 0.12F) + small.around(0, 0.04F);
  s.expression.smiles = small.chance(0.5F);
  s.expression.smile =
      s.expression.smiles ? small.between(0.25F, 0.45F) : small.between(-0.2F, 0.05F);
  s.expression.open = std::max(0.0F, small.between(-0.06F, 0.07F));
  s.expression.eyes = small.between(0.7F, 1.15F);
  s.expression.gaze = {small.around(0, 0.04F), small.around(0, 0.02F)};
  const Direction light = draw_light(draws);
  s.light.direction =
      normalised({light.x + small.around(0, 0.08F), light.y + small.around(0, 0.08F), light.z});
  s.light.ambient = draws.between(0.25F, 0.5F);
  s.light.colour = {draws.between(0.9F, 1.1F), 1.0F, draws.between(0.85F, 1.1F)};
  s.background = draw_background(draws);
  s.camera.softness = draws.between(0.0F, 1.0F);
  s.camera.noise = draws.between(2.0F, 10.0F);
  const Rgb balance{draws.between(0.93F, 1.07F), 1.0F, draws.between(0.9F, 1.1F)};
  s.camera.gain = balance * draws.between(0.8F, 1.2F);
  s.jpeg_quality = static_cast<int>(draws.between(75.0F, 96.0F));
  return s;
}

}  // namespace verace::data::faces
