// Every target pixel looks up its place in the source.
#include "data/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "kernels/check.h"

namespace verace::data {
namespace {

Image black(int64_t height, int64_t width) {
  return {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
}

const uint8_t* pixel(const Image& image, int64_t x, int64_t y) {
  return image.rgb.data() + (y * image.width + x) * 3;
}

// Pillow rounds the matrix to 15 digits, so that 90 degrees have no trace of the other axis.
double rounded(double value) { return std::round(value * 1e15) / 1e15; }

// Target to source, as Pillow makes it: about the middle, which is (w/2, h/2) for any size.
AffineMap back_rotation(const Image& image, double degrees) {
  const double angle = -degrees * (std::numbers::pi / 180);
  const double cosine = rounded(std::cos(angle)), sine = rounded(std::sin(angle));
  const double x = static_cast<double>(image.width) / 2;
  const double y = static_cast<double>(image.height) / 2;
  return {cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y};
}

double normalised(double degrees) {
  const double rest = std::fmod(degrees, 360.0);
  return rest < 0 ? rest + 360.0 : rest;
}

Image turn_half(const Image& image) {
  Image result = black(image.height, image.width);
  const int64_t pixels = image.height * image.width;
  for (int64_t i = 0; i < pixels; ++i) {
    std::memcpy(result.rgb.data() + (pixels - 1 - i) * 3, image.rgb.data() + i * 3, 3);
  }
  return result;
}

// A square picture by a quarter, counter-clockwise (or clockwise).
Image turn_quarter(const Image& image, bool clockwise) {
  const int64_t n = image.width;
  Image result = black(n, n);
  for (int64_t y = 0; y < n; ++y) {
    for (int64_t x = 0; x < n; ++x) {
      const uint8_t* from = clockwise ? pixel(image, y, n - 1 - x) : pixel(image, n - 1 - y, x);
      std::memcpy(result.rgb.data() + (y * n + x) * 3, from, 3);
    }
  }
  return result;
}

int64_t fixed(double value) { return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5)); }

// Positions first .. first + count - 1 with their weights, which need not sum to one.
struct Reach {
  int64_t first = 0, count = 0;
};

Reach triangle(double center, double radius, int64_t size, std::vector<double>& weights) {
  const double begin = std::ceil(center - radius - 0.5), end = std::floor(center + radius - 0.5);
  const auto first = static_cast<int64_t>(std::max(begin, 0.0));
  const auto last = static_cast<int64_t>(std::min(end, static_cast<double>(size - 1)));
  weights.clear();
  for (int64_t i = first; i <= last; ++i) {
    const double distance = std::abs(static_cast<double>(i) + 0.5 - center) / radius;
    weights.push_back(std::max(0.0, 1.0 - distance));
  }
  return {first, static_cast<int64_t>(weights.size())};
}

// The sum of all weights of the triangle, also of those beyond the picture's edge.
double whole_sum(double center, double radius) {
  const double begin = std::ceil(center - radius - 0.5), end = std::floor(center + radius - 0.5);
  double sum = 0;
  for (double i = begin; i <= end; i += 1) {
    sum += std::max(0.0, 1.0 - std::abs(i + 0.5 - center) / radius);
  }
  return sum;
}

class Sampler {
 public:
  Sampler(const Image& image, double radius) : image_(image), radius_(radius) {}

  void sample(double x, double y, uint8_t* out) {
    const double width = static_cast<double>(image_.width);
    const double height = static_cast<double>(image_.height);
    if (!(x > -radius_ && x < width + radius_ && y > -radius_ && y < height + radius_)) return;
    const Reach columns = triangle(x, radius_, image_.width, across_);
    const Reach rows = triangle(y, radius_, image_.height, down_);
    std::array<double, 3> sum = {};
    for (int64_t j = 0; j < rows.count; ++j) {
      const uint8_t* in = pixel(image_, columns.first, rows.first + j);
      std::array<double, 3> row = {};
      for (int64_t i = 0; i < columns.count; ++i, in += 3) {
        for (size_t c = 0; c < 3; ++c) row[c] += across_[static_cast<size_t>(i)] * in[c];
      }
      for (size_t c = 0; c < 3; ++c) sum[c] += down_[static_cast<size_t>(j)] * row[c];
    }
    const double whole = whole_sum(x, radius_) * whole_sum(y, radius_);
    for (size_t c = 0; c < 3; ++c) {
      out[c] = static_cast<uint8_t>(std::clamp(sum[c] / whole + 0.5, 0.0, 255.0));
    }
  }

 private:
  const Image& image_;
  const double radius_;
  std::vector<double> across_, down_;
};

}  // namespace

Image cut(const Image& image, int64_t x, int64_t y, int64_t height, int64_t width) {
  VERACE_CHECK(height >= 1 && width >= 1 && height <= kMaxImageSide && width <= kMaxImageSide);
  Image result = black(height, width);
  const int64_t left = std::clamp<int64_t>(x, 0, image.width);
  const int64_t right = std::clamp<int64_t>(x + width, left, image.width);
  for (int64_t row = 0; row < height; ++row) {
    if (y + row < 0 || y + row >= image.height || right == left) continue;
    std::memcpy(result.rgb.data() + (row * width + left - x) * 3, pixel(image, left, y + row),
                static_cast<size_t>(right - left) * 3);
  }
  return result;
}

Image rotate_nearest(const Image& image, double degrees) {
  VERACE_CHECK(std::isfinite(degrees));
  const double angle = normalised(degrees);
  if (angle == 0) return image;
  if (angle == 180) return turn_half(image);
  const bool square = image.width == image.height;
  if (square && (angle == 90 || angle == 270)) return turn_quarter(image, angle == 270);
  const AffineMap back = back_rotation(image, angle);
  Image result = black(image.height, image.width);
  int64_t row_x = fixed(back.x0 + back.xx * 0.5 + back.xy * 0.5);
  int64_t row_y = fixed(back.y0 + back.yx * 0.5 + back.yy * 0.5);
  const int64_t step_x = fixed(back.xx), step_y = fixed(back.yx);
  uint8_t* out = result.rgb.data();
  for (int64_t y = 0; y < image.height; ++y) {
    int64_t at_x = row_x, at_y = row_y;
    for (int64_t x = 0; x < image.width; ++x, out += 3, at_x += step_x, at_y += step_y) {
      const int64_t from_x = at_x >> 16, from_y = at_y >> 16;
      if (from_x < 0 || from_x >= image.width || from_y < 0 || from_y >= image.height) continue;
      std::memcpy(out, pixel(image, from_x, from_y), 3);
    }
    row_x += fixed(back.xy);
    row_y += fixed(back.yy);
  }
  return result;
}

AffineMap rotation_of(const Image& image, double degrees) {
  return back_rotation(image, normalised(degrees)).inverse();
}

Image warp(const Image& image, const AffineMap& map, int64_t height, int64_t width) {
  VERACE_CHECK(height >= 1 && width >= 1 && height <= kMaxImageSide && width <= kMaxImageSide);
  const AffineMap back = map.inverse();
  // Source pixels per target pixel.
  const double shrink = std::hypot(back.xx, back.yx);
  Sampler sampler(image, std::max(1.0, shrink));
  Image result = black(height, width);
  uint8_t* out = result.rgb.data();
  for (int64_t row = 0; row < height; ++row) {
    const double y = static_cast<double>(row) + 0.5;
    for (int64_t column = 0; column < width; ++column, out += 3) {
      const double x = static_cast<double>(column) + 0.5;
      sampler.sample(back.xx * x + back.xy * y + back.x0, back.yx * x + back.yy * y + back.y0, out);
    }
  }
  return result;
}

}  // namespace verace::data
