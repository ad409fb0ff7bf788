// Pillow's resampling: 22-bit fixed-point weights; columns first, rounded to 8 bits, then rows.
#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

// 32 bits less 8 of the pixel less 2 for sums slightly above one.
constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// Which source positions make each target position, and with which weights.
struct Taps {
  int64_t stride = 0;            // weights reserved per target position
  std::vector<int64_t> first;    // [target] first source position
  std::vector<int64_t> count;    // [target] number of source positions
  std::vector<int32_t> weights;  // [target, stride], 1.0 == 1 << kWeightBits
};

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

// The order of the floating-point operations is Pillow's: it decides the last bit.
Taps make_taps(int64_t source, int64_t target) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double filter_scale = std::max(scale, 1.0);
  const double support = 1.0 * filter_scale;
  const double inverse = 1.0 / filter_scale;
  Taps taps;
  taps.stride = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.weights.resize(static_cast<size_t>(target * taps.stride));
  std::vector<double> exact(static_cast<size_t>(taps.stride));
  for (int64_t t = 0; t < target; ++t) {
    const double center = (static_cast<double>(t) + 0.5) * scale;
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), source);
    const int64_t count = last - first;
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) {
      exact[i] = triangle((static_cast<double>(i + first) - center + 0.5) * inverse);
      sum += exact[i];
    }
    for (int64_t i = 0; i < count; ++i) {
      const double weight = sum != 0.0 ? exact[i] / sum : exact[i];
      taps.weights[t * taps.stride + i] = static_cast<int32_t>(0.5 + weight * (1 << kWeightBits));
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

uint8_t round_to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// [h, w, 3] -> [h, target, 3].
Image resize_columns(const Image& image, int64_t target) {
  const Taps taps = make_taps(image.width, target);
  Image result{image.height, target, std::vector<uint8_t>(image.height * target * 3)};
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* row = image.rgb.data() + y * image.width * 3;
    uint8_t* out = result.rgb.data() + y * target * 3;
    for (int64_t x = 0; x < target; ++x, out += 3) {
      const int32_t* weights = taps.weights.data() + x * taps.stride;
      const uint8_t* in = row + taps.first[x] * 3;
      int32_t red = kHalf;
      int32_t green = kHalf;
      int32_t blue = kHalf;
      for (int64_t i = 0; i < taps.count[x]; ++i, in += 3) {
        red += in[0] * weights[i];
        green += in[1] * weights[i];
        blue += in[2] * weights[i];
      }
      out[0] = round_to_byte(red);
      out[1] = round_to_byte(green);
      out[2] = round_to_byte(blue);
    }
  }
  return result;
}

// [h, w, 3] -> [target, w, 3].
Image resize_rows(const Image& image, int64_t target) {
  const Taps taps = make_taps(image.height, target);
  const int64_t row_values = image.width * 3;
  Image result{target, image.width, std::vector<uint8_t>(target * row_values)};
  std::vector<int32_t> sums(static_cast<size_t>(row_values));
  for (int64_t y = 0; y < target; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int64_t i = 0; i < taps.count[y]; ++i) {
      const int32_t weight = taps.weights[y * taps.stride + i];
      const uint8_t* in = image.rgb.data() + (taps.first[y] + i) * row_values;
      for (int64_t x = 0; x < row_values; ++x) sums[x] += in[x] * weight;
    }
    uint8_t* out = result.rgb.data() + y * row_values;
    for (int64_t x = 0; x < row_values; ++x) out[x] = round_to_byte(sums[x]);
  }
  return result;
}

// Source position of each target position. Positions are summed up, not multiplied, as Pillow does:
// where a centre falls between two pixels the rounding of that sum decides.
std::vector<int64_t> nearest_positions(int64_t source, int64_t target) {
  const double step = static_cast<double>(source) / static_cast<double>(target);
  std::vector<int64_t> positions;
  double at = step * 0.5;
  for (int64_t t = 0; t < target; ++t, at += step) {
    positions.push_back(std::min(static_cast<int64_t>(at), source - 1));
  }
  return positions;
}

Image resize_nearest(const Image& image, int64_t height, int64_t width) {
  const std::vector<int64_t> rows = nearest_positions(image.height, height);
  const std::vector<int64_t> columns = nearest_positions(image.width, width);
  Image result{height, width, std::vector<uint8_t>(height * width * 3)};
  uint8_t* out = result.rgb.data();
  for (const int64_t y : rows) {
    for (const int64_t x : columns) {
      std::memcpy(out, image.rgb.data() + (y * image.width + x) * 3, 3);
      out += 3;
    }
  }
  return result;
}

void check_image(const Image& image) {
  VERACE_CHECK(image.height >= 1 && image.width >= 1);
  VERACE_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
}

// rest / 2, halves to the even neighbour.
int64_t crop_offset(int64_t rest) {
  const int64_t half = rest / 2;
  return rest % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

}  // namespace

Image resize(const Image& image, int64_t height, int64_t width, ResizeFilter filter) {
  check_image(image);
  VERACE_CHECK(height >= 1 && width >= 1 && height <= kMaxImageSide && width <= kMaxImageSide);
  if (height == image.height && width == image.width) return image;
  if (filter == ResizeFilter::kNearest) return resize_nearest(image, height, width);
  if (width == image.width) return resize_rows(image, height);
  const Image narrow = resize_columns(image, width);
  return height == image.height ? narrow : resize_rows(narrow, height);
}

Image center_crop(const Image& image, int64_t height, int64_t width) {
  check_image(image);
  VERACE_CHECK(height >= 1 && width >= 1 && height <= image.height && width <= image.width);
  const int64_t top = crop_offset(image.height - height);
  const int64_t left = crop_offset(image.width - width);
  Image result{height, width, std::vector<uint8_t>(height * width * 3)};
  for (int64_t y = 0; y < height; ++y) {
    std::memcpy(result.rgb.data() + y * width * 3,
                image.rgb.data() + ((top + y) * image.width + left) * 3, width * 3);
  }
  return result;
}

Image resize_short_side_and_crop(const Image& image, int64_t short_side, int64_t crop,
                                 ResizeFilter filter) {
  check_image(image);
  VERACE_CHECK(crop >= 1 && crop <= short_side && short_side <= kMaxImageSide);
  const int64_t shorter = std::min(image.height, image.width);
  const int64_t height = short_side * image.height / shorter;
  const int64_t width = short_side * image.width / shorter;
  return center_crop(resize(image, height, width, filter), crop, crop);
}

void check_fit_options(const FitOptions& options) {
  if (options.size < 1 || options.size > kMaxImageSide) {
    fail_input(text::format("picture size {}: give 1 to {} pixels", options.size, kMaxImageSide));
  }
  const bool too_short = options.short_side != 0 && options.short_side < options.size;
  if (too_short || options.short_side > kMaxImageSide) {
    fail_input(
        text::format("shorter side {} before cropping: give the picture size {} to {} pixels",
                     options.short_side, options.size, kMaxImageSide));
  }
}

Image fit_to_square(const Image& image, const FitOptions& options,
                    const std::string& name_for_errors) {
  const int64_t size = options.size;
  if (options.fit == Fit::kStretch) return resize(image, size, size, options.filter);
  const int64_t short_side = options.short_side != 0 ? options.short_side : size;
  const int64_t longer = std::max(image.height, image.width);
  if (short_side * longer / std::min(image.height, image.width) > kMaxImageSide) {
    fail_input(
        text::format("{}: {}x{} pixels are too elongated to be cropped to a square; stretch it",
                     one_line(name_for_errors), image.width, image.height));
  }
  return resize_short_side_and_crop(image, short_side, size, options.filter);
}

}  // namespace verace::data
