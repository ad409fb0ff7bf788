// YUV, palettes and the rest to RGB.
#include "data/video/ffmpeg/converter.h"

#include <algorithm>

#include "data/codecs.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data::video {
namespace {

constexpr int kFlags = SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT;
constexpr int64_t kRowAlignment = 64, kRowSlack = 64;

int64_t row_bytes(int width) {
  const int64_t pixels = int64_t{width} * 3;
  return (pixels + kRowAlignment - 1) / kRowAlignment * kRowAlignment + kRowSlack;
}

// The formats whose name means "full range" are deprecated, and swscale warns about them.
int without_range(int format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      return format;
  }
}

}  // namespace

void Converter::prepare(const Key& key) {
  const auto format = static_cast<AVPixelFormat>(key.format);
  scaler_.reset(sws_getContext(key.width, key.height, format, key.width, key.height,
                               AV_PIX_FMT_RGB24, kFlags, nullptr, nullptr, nullptr));
  if (scaler_ == nullptr) {
    const char* known = av_get_pix_fmt_name(format);
    fail_input(
        text::format("{}: its pixel format {} cannot be converted to RGB; convert it to H.264",
                     name_, known == nullptr ? "(unknown)" : known));
  }
  const int* matrix = sws_getCoefficients(key.matrix);
  constexpr int kOne = 1 << 16;
  // Refused for formats without colour differences (RGB, grey): they need none.
  sws_setColorspaceDetails(scaler_.get(), matrix, key.full_range, matrix, 1, 0, kOne, kOne);
  rows_.resize(static_cast<size_t>(row_bytes(key.width) * key.height));
  key_ = key;
}

Image Converter::convert(const AVFrame& frame, int orientation) {
  const int format = without_range(frame.format);
  const bool full = format != frame.format || frame.color_range == AVCOL_RANGE_JPEG;
  const Key key{frame.width, frame.height, format, frame.colorspace, full ? 1 : 0};
  if (!(key == key_)) prepare(key);
  const int64_t stride = row_bytes(key.width);
  const std::array<uint8_t*, 4> rows = {rows_.data()};
  const std::array<int, 4> strides = {static_cast<int>(stride)};
  const int height = sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height,
                               rows.data(), strides.data());
  VERACE_CHECK(height == frame.height, name_);
  Image image{frame.height, frame.width, {}};
  image.rgb.resize(static_cast<size_t>(image.height * image.width * 3));
  for (int64_t y = 0; y < image.height; ++y) {
    std::copy_n(rows_.data() + y * stride, image.width * 3, image.rgb.data() + y * image.width * 3);
  }
  return internal::apply_orientation(std::move(image), orientation);
}

}  // namespace verace::data::video
