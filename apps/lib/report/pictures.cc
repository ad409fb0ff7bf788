// Encoding pictures for a page, and the change that an attack made.
#include "apps/lib/report/pictures.h"

#include <algorithm>
#include <cstdlib>

#include "data/resample.h"
#include "kernels/check.h"

namespace verace::apps::report {
namespace {

constexpr int64_t kMostSide = 256;
constexpr size_t kMostPngBytes = 16 * 1024;
constexpr int kJpegQuality = 90;

data::Image small(const data::Image& picture) {
  const int64_t longer = std::max(picture.width, picture.height);
  if (longer <= kMostSide) return picture;
  const auto scaled = [&](int64_t side) { return std::max<int64_t>(1, side * kMostSide / longer); };
  return data::resize(picture, scaled(picture.height), scaled(picture.width),
                      data::ResizeFilter::kBilinear);
}

}  // namespace

std::string base64(std::span<const std::byte> bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < count ? static_cast<uint32_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

std::string picture_uri(const data::Image& picture) {
  const data::Image shown = small(picture);
  const std::vector<std::byte> png = data::encode_png(shown);
  if (png.size() <= kMostPngBytes) return "data:image/png;base64," + base64(png);
  return "data:image/jpeg;base64," + base64(data::encode_jpeg(shown, kJpegQuality));
}

int largest_change(const data::Image& before, const data::Image& after) {
  VERACE_CHECK(before.rgb.size() == after.rgb.size());
  int largest = 0;
  for (size_t i = 0; i < before.rgb.size(); ++i) {
    largest = std::max(largest, std::abs(int{after.rgb[i]} - int{before.rgb[i]}));
  }
  return largest;
}

data::Image amplified_change(const data::Image& before, const data::Image& after, int factor) {
  VERACE_CHECK(before.rgb.size() == after.rgb.size());
  data::Image change = before;
  for (size_t i = 0; i < change.rgb.size(); ++i) {
    const int value = 128 + factor * (int{after.rgb[i]} - int{before.rgb[i]});
    change.rgb[i] = static_cast<uint8_t>(std::clamp(value, 0, 255));
  }
  return change;
}

}  // namespace verace::apps::report
