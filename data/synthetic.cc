// Draws the tests' pictures with +, -, *, / and sqrt only: those round equally everywhere.
#include "data/synthetic.h"

#include <algorithm>
#include <cmath>

#include "data/dataset.h"
#include "data/draws.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

using Colour = std::array<float, 3>;  // 0..255

constexpr uint8_t kShapeStream = 0xD3;
constexpr float kNoise = 12.0F;              // largest change of a value by noise
constexpr float kEqualAreaSide = 0.886227F;  // half the side of a square as large as the unit disc
constexpr uint64_t kNoiseCounter = 1000;     // counters below belong to the geometry

struct Point {
  float x;
  float y;
};

Point rotate(Point p, Point direction) {
  return {p.x * direction.x + p.y * direction.y, p.y * direction.x - p.x * direction.y};
}

Colour draw_colour(Draws& draws) {
  return {draws.between(0, 255), draws.between(0, 255), draws.between(0, 255)};
}

// A colour that differs from the other one by 70 to 120 in each channel.
Colour draw_contrast(Draws& draws, const Colour& other) {
  Colour result;
  for (size_t c = 0; c < 3; ++c) {
    const float step = draws.between(70, 120);
    result[c] = other[c] > 127.5F ? other[c] - step : other[c] + step;
  }
  return result;
}

// A unit vector; points of the square outside of the ring are drawn again.
Point draw_direction(Draws& draws) {
  while (true) {
    const Point p{draws.between(-1, 1), draws.between(-1, 1)};
    const float square = p.x * p.x + p.y * p.y;
    if (square > 1.0F || square < 0.01F) continue;
    const float length = std::sqrt(square);
    return {p.x / length, p.y / length};
  }
}

// Everything about a picture but its noise. Lengths in pixels.
struct Scene {
  Colour sky_a, sky_b, paint_a, paint_b;
  Point sky_direction, shape_direction, paint_direction;
  Point centre;
  float radius;
  float period;

  Scene(Draws& draws, float size)
      : sky_a(draw_colour(draws)),
        sky_b(draw_colour(draws)),
        paint_a(draw_colour(draws)),
        paint_b(draw_contrast(draws, paint_a)),
        sky_direction(draw_direction(draws)),
        shape_direction(draw_direction(draws)),
        paint_direction(draw_direction(draws)),
        centre{0, 0},
        radius(size * draws.between(0.22F, 0.34F)),
        period(std::max(2.0F, size * draws.between(0.05F, 0.09F))) {
    // A turned square reaches 1.26 radii from its centre.
    const float margin = radius * 1.26F;
    centre.x = draws.between(margin, size - margin);
    centre.y = draws.between(margin, size - margin);
  }

  // Share of the pixel that the shape covers: one pixel wide soft edge.
  float coverage(Point pixel, Shape shape) const {
    const Point p{pixel.x - centre.x, pixel.y - centre.y};
    float distance = std::sqrt(p.x * p.x + p.y * p.y) - radius;
    if (shape == Shape::kSquare) {
      const Point q = rotate(p, shape_direction);
      distance = std::max(std::abs(q.x), std::abs(q.y)) - radius * kEqualAreaSide;
    }
    return std::clamp(0.5F - distance, 0.0F, 1.0F);
  }

  const Colour& paint(Point pixel, Texture texture) const {
    const Point q = rotate({pixel.x - centre.x, pixel.y - centre.y}, paint_direction);
    auto cell = static_cast<int64_t>(std::floor(q.x / period));
    if (texture == Texture::kChecker) cell += static_cast<int64_t>(std::floor(q.y / period));
    return cell % 2 == 0 ? paint_a : paint_b;
  }

  float sky(Point pixel, size_t channel, float size) const {
    const float along = rotate({pixel.x / size - 0.5F, pixel.y / size - 0.5F}, sky_direction).x;
    const float share = std::clamp(along + 0.5F, 0.0F, 1.0F);
    return sky_a[channel] + (sky_b[channel] - sky_a[channel]) * share;
  }
};

uint8_t to_byte(float value) {
  return static_cast<uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F));
}

}  // namespace

Image render_shape(uint64_t seed, int64_t index, int64_t size, Shape shape, Texture texture) {
  VERACE_CHECK(index >= 0 && size >= 16 && size <= kMaxImageSide);
  const engine::Philox rng(seed, stream_of(kShapeStream, index));
  Draws draws(rng);
  const auto side = static_cast<float>(size);
  const Scene scene(draws, side);
  Image image{size, size, std::vector<uint8_t>(size * size * 3)};
  for (int64_t i = 0; i < size * size; ++i) {
    const Point pixel{static_cast<float>(i % size) + 0.5F, static_cast<float>(i / size) + 0.5F};
    const float cover = scene.coverage(pixel, shape);
    const Colour& paint = scene.paint(pixel, texture);
    const auto noise = rng.block(kNoiseCounter + static_cast<uint64_t>(i));
    for (size_t c = 0; c < 3; ++c) {
      const float sky = scene.sky(pixel, c, side);
      const float value = sky + (paint[c] - sky) * cover;
      image.rgb[i * 3 + c] = to_byte(value + kNoise * signed_unit(noise[c]));
    }
  }
  return image;
}

void write_synthetic_dataset(const std::filesystem::path& directory,
                             const SyntheticOptions& options) {
  make_empty_folder(directory);
  int64_t index = 0;
  for (size_t split = 0; split < kSplitNames.size(); ++split) {
    const int64_t pictures = options.pictures_per_class[split] * 2;
    for (int64_t i = 0; i < pictures; ++i, ++index) {
      const auto label = static_cast<int32_t>(i % 2);
      const auto other = static_cast<int32_t>(i / 2 % 2);
      const auto drawn = static_cast<Shape>(options.label_by_shape ? label : other);
      const Shape shape = options.only_shape.value_or(drawn);
      const auto texture = static_cast<Texture>(options.label_by_shape ? other : label);
      const std::filesystem::path folder =
          directory / kSplitNames[split] / kClassNames[static_cast<size_t>(label)];
      if (i < 2) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);  // write_png names what went wrong
      }
      write_png(folder / text::format("{:06}.png", index),
                render_shape(options.seed, index, options.size, shape, texture), Durability::kFast);
    }
  }
}

}  // namespace verace::data
