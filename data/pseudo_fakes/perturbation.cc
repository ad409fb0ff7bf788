// Colours pixel by pixel, sharpness by small sums, the rest by the codecs and the resizing of
// data/.
#include "data/pseudo_fakes/perturbation.h"

#include <algorithm>
#include <cmath>

#include "data/face_frame.h"
#include "data/resample.h"

namespace verace::data {
namespace {

uint8_t grey_level(float value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F) + 0.5F);
}

// Hue in sixths of a turn from red, saturation 0..1, value 0..255.
struct Hsv {
  float hue = 0, saturation = 0, value = 0;
};

Hsv to_hsv(const std::array<float, 3>& c) {
  const float high = std::max({c[0], c[1], c[2]});
  const float range = high - std::min({c[0], c[1], c[2]});
  if (!(range > 0)) return {0, 0, high};
  float hue = 0;
  if (high == c[0]) {
    hue = (c[1] - c[2]) / range;
  } else if (high == c[1]) {
    hue = 2 + (c[2] - c[0]) / range;
  } else {
    hue = 4 + (c[0] - c[1]) / range;
  }
  return {hue, range / high, high};
}

std::array<float, 3> to_rgb(const Hsv& hsv) {
  const float wrapped = hsv.hue - 6 * std::floor(hsv.hue / 6);
  std::array<float, 3> c{};
  for (size_t i = 0; i < 3; ++i) {
    // Each colour is high for a third of the turn about its own hue (0, 2, 4 sixths).
    float away = std::abs(wrapped - 2 * static_cast<float>(i));
    away = std::min(away, 6 - away);
    const float share = std::clamp(2 - away, 0.0F, 1.0F);
    c[i] = hsv.value * (1 - hsv.saturation * (1 - share));
  }
  return c;
}

bool changes_hsv(const Perturbation& p) { return p.hue != 0 || p.saturation != 1 || p.value != 1; }

void change_colours(Image& image, const Perturbation& p) {
  const bool hsv = changes_hsv(p);
  const bool shifted = std::ranges::any_of(p.rgb_shift, [](int shift) { return shift != 0; });
  if (!hsv && !shifted && p.contrast == 1 && p.brightness == 0) return;
  for (size_t i = 0; i + 2 < image.rgb.size(); i += 3) {
    std::array<float, 3> c{};
    for (size_t k = 0; k < 3; ++k) {
      c[k] = std::clamp(static_cast<float>(image.rgb[i + k] + p.rgb_shift[k]), 0.0F, 255.0F);
    }
    if (hsv) {
      Hsv colour = to_hsv(c);
      colour.hue += 6 * p.hue;
      colour.saturation = std::min(colour.saturation * p.saturation, 1.0F);
      colour.value = std::min(colour.value * p.value, 255.0F);
      c = to_rgb(colour);
    }
    for (size_t k = 0; k < 3; ++k) {
      image.rgb[i + k] = grey_level((c[k] - 127.5F) * p.contrast + 127.5F + p.brightness);
    }
  }
}

// out = sum over 3 x 3 of weights[|dy|] * weights[|dx|] * in, over their sum; the border goes on.
Image small_mean(const Image& image, int middle, int side) {
  const int total = (middle + 2 * side) * (middle + 2 * side);
  Image out = image;
  const auto at = [&image](int64_t y, int64_t x, int64_t k) {
    const int64_t row = std::clamp<int64_t>(y, 0, image.height - 1);
    const int64_t column = std::clamp<int64_t>(x, 0, image.width - 1);
    return int{image.rgb[static_cast<size_t>((row * image.width + column) * 3 + k)]};
  };
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t k = 0; k < 3; ++k) {
        int sum = 0;
        for (int64_t dy = -1; dy <= 1; ++dy) {
          const int row =
              at(y + dy, x - 1, k) * side + at(y + dy, x, k) * middle + at(y + dy, x + 1, k) * side;
          sum += row * (dy == 0 ? middle : side);
        }
        out.rgb[static_cast<size_t>((y * image.width + x) * 3 + k)] =
            static_cast<uint8_t>((sum + total / 2) / total);
      }
    }
  }
  return out;
}

void sharpen(Image& image, float strength) {
  const Image mean = small_mean(image, 1, 1);
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const auto own = static_cast<float>(image.rgb[i]);
    image.rgb[i] = grey_level(own + strength * (own - static_cast<float>(mean.rgb[i])));
  }
}

// The colour at a point, bilinear.
void sample(const Image& image, ImagePoint point, uint8_t* colour) {
  const auto place = [](float at, int64_t side) {
    return std::clamp(at - 0.5F, 0.0F, static_cast<float>(side - 1));
  };
  const float x = place(point.x, image.width);
  const float y = place(point.y, image.height);
  const auto left = static_cast<int64_t>(x);
  const auto top = static_cast<int64_t>(y);
  const int64_t right = std::min<int64_t>(left + 1, image.width - 1);
  const int64_t bottom = std::min<int64_t>(top + 1, image.height - 1);
  const float tx = x - static_cast<float>(left);
  const float ty = y - static_cast<float>(top);
  for (int64_t k = 0; k < 3; ++k) {
    const auto pixel = [&](int64_t row, int64_t column) {
      return static_cast<float>(
          image.rgb[static_cast<size_t>((row * image.width + column) * 3 + k)]);
    };
    const float above = pixel(top, left) + (pixel(top, right) - pixel(top, left)) * tx;
    const float below = pixel(bottom, left) + (pixel(bottom, right) - pixel(bottom, left)) * tx;
    colour[k] = grey_level(above + (below - above) * ty);
  }
}

int64_t shrunk(int64_t side, float factor) {
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<float>(side) / factor + 0.5F));
}

}  // namespace

Perturbation draw_perturbation(Draws& draws) {
  Perturbation p;
  if (draws.chance(0.3F)) {
    for (int& shift : p.rgb_shift) {
      shift = static_cast<int>(std::floor(draws.between(-15.0F, 16.0F)));
    }
  }
  p.hue = draws.between(-0.02F, 0.02F);
  p.saturation = draws.between(0.8F, 1.2F);
  p.value = draws.between(0.92F, 1.08F);
  p.contrast = draws.between(0.9F, 1.1F);
  p.brightness = draws.between(-12.0F, 12.0F);
  const float kind = draws.between(0.0F, 3.0F);
  if (kind < 1) {
    p.sharpen = draws.between(0.3F, 1.2F);
  } else if (kind < 2) {
    p.blur = draws.chance(0.5F) ? 1 : 2;
  } else {
    p.shrink = draws.between(1.3F, 3.0F);
  }
  if (draws.chance(0.5F)) p.jpeg_quality = static_cast<int>(draws.between(50.0F, 96.0F));
  return p;
}

Image perturb(const Image& image, const Perturbation& p) {
  Image result = image;
  change_colours(result, p);
  if (p.sharpen > 0) sharpen(result, p.sharpen);
  for (int i = 0; i < p.blur; ++i) result = small_mean(result, 2, 1);
  if (p.shrink > 1) {
    const Image small = resize(result, shrunk(image.height, p.shrink),
                               shrunk(image.width, p.shrink), ResizeFilter::kBilinear);
    result = resize(small, image.height, image.width, ResizeFilter::kBilinear);
  }
  if (p.jpeg_quality > 0) {
    result = decode_image(encode_jpeg(result, p.jpeg_quality), "a perturbed picture");
  }
  return result;
}

Misplacement draw_misplacement(Draws& draws) {
  Misplacement m;
  m.scale_x = draws.between(0.95F, 1.05F);
  m.scale_y = draws.between(0.95F, 1.05F);
  m.turn = draws.between(-0.03F, 0.03F);
  m.shift_x = draws.between(-0.15F, 0.15F);
  m.shift_y = draws.between(-0.1F, 0.1F);
  return m;
}

Image misplace(const Image& image, const Misplacement& m, ImagePoint centre, float unit) {
  if (m == Misplacement{}) return image;
  Image out = image;
  const ImagePoint moved = centre + ImagePoint{m.shift_x, m.shift_y} * unit;
  const float cosine = 1.0F / std::sqrt(1.0F + m.turn * m.turn);
  const float sine = m.turn * cosine;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const ImagePoint at =
          ImagePoint{static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F} - moved;
      const ImagePoint from{(at.x * cosine + at.y * sine) / m.scale_x,
                            (at.y * cosine - at.x * sine) / m.scale_y};
      sample(image, from + centre, &out.rgb[static_cast<size_t>((y * image.width + x) * 3)]);
    }
  }
  return out;
}

}  // namespace verace::data
