// From back to front: background, hair behind the head, neck and clothes, ears, skin with its
// features under one light, hair before the forehead.
#include "data/faces/render.h"

#include "data/faces/geometry.h"
#include "data/faces/texture.h"

namespace verace::data::faces {
namespace {

// Width of soft edges, in half heights of the head: about one ray.
constexpr float kHeadEdge = 0.025F;

float seen(float inside) { return covered(inside, kHeadEdge); }

class Renderer {
 public:
  Renderer(const Person& person, const Shot& shot)
      : p_(person),
        shot_(shot),
        head_(person, shot.pose),
        half_way_(normalised(
            {shot.light.direction.x, shot.light.direction.y, shot.light.direction.z + 1.0F})) {}

  Rgb ray(Point point) const;

 private:
  Rgb background(Point point) const;
  Rgb behind(Point point, const Surface& s) const;
  Rgb lit(Rgb albedo, Direction normal, float gloss) const;
  float hair_behind(Point head) const;
  float hair_before(const Surface& s) const;
  Rgb hair_colour(Point head) const;

  const Person& p_;
  const Shot& shot_;
  HeadGeometry head_;
  Direction half_way_;  // between the light and the camera: where gloss is brightest
};

Rgb Renderer::background(Point point) const {
  const Background& b = shot_.background;
  Rgb colour = mix(b.top, b.bottom, std::clamp(point.y, 0.0F, 1.0F));
  for (const Background::Spot& spot : b.spots) {
    const float dx = point.x - spot.centre.x;
    const float dy = point.y - spot.centre.y;
    const float distance = std::sqrt(dx * dx + dy * dy) / spot.radius;
    colour = mix(colour, spot.colour, 0.6F * smooth_step(1.1F, 0.9F, distance));
  }
  const Point fine{point.x * b.fineness, point.y * b.fineness};
  return colour * (1.0F + b.grain * (2.0F * value_noise(fine, b.texture) - 1.0F));
}

Rgb Renderer::lit(Rgb albedo, Direction normal, float gloss) const {
  const Light& light = shot_.light;
  // Light that creeps round the edge keeps the shadow's border soft, as on skin.
  constexpr float kWrap = 0.2F;
  const float facing = (dot(normal, light.direction) + kWrap) / (1.0F + kWrap);
  const float diffuse = light.ambient + (1.15F - light.ambient) * std::max(0.0F, facing);
  float shine = std::max(0.0F, dot(normal, half_way_));
  for (int i = 0; i < 4; ++i) shine *= shine;  // to the 16th
  return albedo * light.colour * diffuse + light.colour * (gloss * shine);
}

float Renderer::hair_behind(Point h) const {
  const float wide = p_.head_width + p_.hair_volume;
  const float high = 1.0F + p_.hair_volume;
  const float top = 1.0F - std::sqrt(h.x * h.x / (wide * wide) + h.y * h.y / (high * high));
  if (h.y < 0) return seen(top);
  return seen(wide - std::abs(h.x)) * smooth_step(0.06F, -0.06F, h.y - p_.hair_length);
}

float Renderer::hair_before(const Surface& s) const {
  const float x = s.on_face.x - p_.hair_side;
  const float line = p_.hairline + 0.55F * x * x;
  const float ragged = 0.06F * (value_noise({s.on_face.x * 9.0F, s.on_face.y * 3.0F}, p_.texture));
  return seen(line + ragged - s.on_face.y) * seen(s.inside + p_.hair_volume * 0.5F);
}

Rgb Renderer::hair_colour(Point h) const {
  const float strands = value_noise({h.x * 14.0F, h.y * 2.5F}, p_.texture + 1);
  const Direction normal = normalised(
      {h.x, h.y * 0.8F, std::sqrt(std::max(0.05F, 1.0F - h.x * h.x - 0.6F * h.y * h.y))});
  return lit(p_.hair * (0.75F + 0.5F * strands), normal, 0.05F * strands);
}

// Each layer is computed only where it shows.
Rgb Renderer::behind(Point point, const Surface& s) const {
  const Point h = s.on_picture;
  Rgb colour = background(point);
  const float hair = hair_behind(h);
  if (hair > 0) colour = mix(colour, hair_colour(h), hair);
  const float neck = seen(p_.head_width * 0.62F - std::abs(h.x)) * seen(h.y - 0.4F);
  if (neck > 0) {
    const float shadow = smooth_step(0.4F, 1.3F, h.y);  // that the head throws on it
    colour = mix(colour, lit(p_.skin * shadow, normalised({h.x, 0.2F, 0.8F}), 0), neck);
  }
  const float shoulders = seen(h.y - 0.98F - 0.22F * h.x * h.x);
  if (shoulders > 0) {
    const Direction normal = normalised({h.x * 0.4F, -0.3F, 0.8F});
    colour = mix(colour, lit(p_.clothes, normal, 0), shoulders);
  }
  if (p_.hair_length > 0.3F) return colour;  // long hair covers the ears
  const float ear_x = (std::abs(h.x) - p_.head_width) / 0.1F;
  const float ear_y = (h.y - 0.08F) / 0.2F;
  const float ear = seen(0.15F * (1.0F - std::sqrt(ear_x * ear_x + ear_y * ear_y)));
  if (ear == 0) return colour;
  return mix(colour, lit(p_.skin * 0.85F, normalised({h.x, h.y, 0.5F}), 0), ear);
}

Rgb Renderer::ray(Point point) const {
  const Surface s = head_.at(point);
  Rgb colour = s.inside > 0.25F ? Rgb{} : behind(point, s);
  if (s.inside > -kHeadEdge) {
    const Rgb albedo = skin_and_features(p_, shot_.expression, s.on_face);
    colour = mix(colour, lit(albedo, s.normal, 0.06F), seen(s.inside));
  }
  const float hair = hair_before(s);
  return hair > 0 ? mix(colour, hair_colour(s.on_picture), hair) : colour;
}

}  // namespace

Picture render(const Person& person, const Shot& shot, int64_t size) {
  Picture picture(size);
  const Renderer renderer(person, shot);
  const float ray = 0.5F / static_cast<float>(size);  // distance of two rays
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      Rgb sum;
      for (int64_t k = 0; k < 4; ++k) {
        sum = sum + renderer.ray({(static_cast<float>(2 * x + k % 2) + 0.5F) * ray,
                                  (static_cast<float>(2 * y + k / 2) + 0.5F) * ray});
      }
      picture.at(y, x) = sum * 0.25F;
    }
  }
  return picture;
}

}  // namespace verace::data::faces
