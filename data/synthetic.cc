// Draws the demonstration's pictures with +, -, *, / and sqrt only: those round equally everywhere.
#include "data/synthetic.h"

#include <algorithm>
#include <cmath>

#include "data/dataset.h"
#include "data/text.h"
#include "engine/rng.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

using Colour = std::array<float, 3>;  // 0..255

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

// The random numbers of one picture, one after the other.
class Draws {
 public:
  explicit Draws(const engine::Philox& rng) : rng_(rng) {}

  float between(float low, float high) { return low + (high - low) * rng_.uniform(counter_++); }

  Colour colour() { return {between(0, 255), between(0, 255), between(0, 255)}; }

  // A colour that differs from the other one by 70 to 120 in each channel.
  Colour contrast(const Colour& other) {
    Colour result;
    for (size_t c = 0; c < 3; ++c) {
      const float step = between(70, 120);
      result[c] = other[c] > 127.5F ? other[c] - step : other[c] + step;
    }
    return result;
  }

  // A unit vector; points of the square outside of the ring are drawn again.
  Point direction() {
    while (true) {
      const Point p{between(-1, 1), between(-1, 1)};
      const float square = p.x * p.x + p.y * p.y;
      if (square > 1.0F || square < 0.01F) continue;
      const float length = std::sqrt(square);
      return {p.x / length, p.y / length};
    }
  }

 private:
  const engine::Philox& rng_;
  uint64_t counter_ = 0;
};

// Everything about a picture but its noise. Lengths in pixels.
struct Scene {
  Colour sky_a, sky_b, paint_a, paint_b;
  Point sky_direction, shape_direction, paint_direction;
  Point centre;
  float radius;
  float period;

  Scene(Draws& draws, float size)
      : sky_a(draws.colour()),
        sky_b(draws.colour()),
        paint_a(draws.colour()),
        paint_b(draws.contrast(paint_a)),
        sky_direction(draws.direction()),
        shape_direction(draws.direction()),
        paint_direction(draws.direction()),
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

// A 32-bit word to -1 .. 1.
float signed_unit(uint32_t word) {
  return static_cast<float>(word >> 8) * (2.0F / 16777215.0F) - 1.0F;
}

uint8_t to_byte(float value) {
  return static_cast<uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F));
}

void require_empty(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const bool usable = !error && std::filesystem::is_directory(directory, error);
  if (!usable || error) {
    fail_input(
        text::format("{}: cannot be made a directory ({})", name_of(directory), error.message()));
  }
  const bool empty = std::filesystem::is_empty(directory, error);
  if (error || !empty) {
    fail_input(text::format("{}: is not empty; name a new directory for the drawn pictures",
                            name_of(directory)));
  }
}

}  // namespace

Image render_shape(uint64_t seed, int64_t index, int64_t size, Shape shape, Texture texture) {
  VERACE_CHECK(index >= 0 && size >= 16 && size <= kMaxImageSide);
  // The stream's top byte keeps these numbers apart from those of augment.cc.
  const engine::Philox rng(seed, uint64_t{0xD3} << 56 | static_cast<uint64_t>(index));
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
  require_empty(directory);
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
