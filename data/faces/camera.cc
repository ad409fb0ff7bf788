// Blur of the lens in light; noise of the sensor in what is stored.
#include "data/faces/camera.h"

#include "data/draws.h"

namespace verace::data::faces {
namespace {

constexpr uint8_t kNoiseStream = 0xD7;

// Weights 1 2 1 in both directions; the border's pixels count again beyond it.
Rgb blurred(const Picture& p, int64_t y, int64_t x) {
  Rgb sum;
  for (int64_t dy = -1; dy <= 1; ++dy) {
    for (int64_t dx = -1; dx <= 1; ++dx) {
      const int64_t row = std::clamp<int64_t>(y + dy, 0, p.size - 1);
      const int64_t column = std::clamp<int64_t>(x + dx, 0, p.size - 1);
      const auto weight = static_cast<float>((2 - std::abs(dy)) * (2 - std::abs(dx)));
      sum = sum + p.at(row, column) * weight;
    }
  }
  return sum * (1.0F / 16.0F);
}

float stored(float light, float noise, uint32_t word) {
  return std::clamp(std::sqrt(std::max(0.0F, light)) + noise * signed_unit(word), 0.0F, 1.0F);
}

uint8_t to_byte(float value) {
  return static_cast<uint8_t>(std::clamp(value * 255.0F + 0.5F, 0.0F, 255.0F));
}

}  // namespace

Picture photograph(const Picture& light, const Camera& camera, uint64_t seed, int64_t exposure) {
  const engine::Philox rng(seed, stream_of(kNoiseStream, exposure));
  const float noise = camera.noise / 255.0F;
  Picture result(light.size);
  for (int64_t y = 0; y < light.size; ++y) {
    for (int64_t x = 0; x < light.size; ++x) {
      const Rgb c = mix(light.at(y, x), blurred(light, y, x), camera.softness) * camera.gain;
      const auto words = rng.block(static_cast<uint64_t>(y * light.size + x));
      result.at(y, x) = {stored(c.r, noise, words[0]), stored(c.g, noise, words[1]),
                         stored(c.b, noise, words[2])};
    }
  }
  return result;
}

Image develop(const Picture& photograph) {
  Image image{photograph.size, photograph.size, {}};
  image.rgb.reserve(photograph.pixels.size() * 3);
  for (const Rgb& pixel : photograph.pixels) {
    for (const float value : {pixel.r, pixel.g, pixel.b}) image.rgb.push_back(to_byte(value));
  }
  return image;
}

}  // namespace verace::data::faces
