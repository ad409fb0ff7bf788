// Pictures to network input and back, pixel by pixel.
#include "kernels/image.h"

namespace verace::kernels::reference {
namespace {

// Value of channel ch of pixel (n, h, w) of an 8-bit picture, mirrored where flip says so.
float unit_pixel(const Nhwc& shape, const uint8_t* x, const uint8_t* flip, int64_t n, int64_t h,
                 int64_t w, int64_t ch) {
  if (flip && flip[n]) w = shape.w - 1 - w;
  return static_cast<float>(x[((n * shape.h + h) * shape.w + w) * 3 + ch]) / 255.0f;
}

}  // namespace

void pixels_to_unit(const Exec&, const PixelsToUnit& args) {
  check_pictures(args.shape);
  float* y = args.y;
  for (int64_t n = 0; n < args.shape.n; ++n)
    for (int64_t h = 0; h < args.shape.h; ++h)
      for (int64_t w = 0; w < args.shape.w; ++w)
        for (int ch = 0; ch < 3; ++ch)
          *y++ = unit_pixel(args.shape, args.x, args.flip, n, h, w, ch);
}

void normalise_pixels(const Exec&, const NormalisePixels& args) {
  check_pictures(args.shape, args.channels);
  float* z = args.z;
  for (int64_t n = 0; n < args.shape.n; ++n)
    for (int64_t h = 0; h < args.shape.h; ++h)
      for (int64_t w = 0; w < args.shape.w; ++w) {
        for (int ch = 0; ch < 3; ++ch) {
          const ChannelScale c = channel_scale(args.mode, ch);
          *z++ = unit_pixel(args.shape, args.x, args.flip, n, h, w, c.source) * c.scale - c.shift;
        }
        for (int64_t ch = 3; ch < args.channels; ++ch) *z++ = 0.0f;
      }
}

void normalise(const Exec&, const Normalise& args) {
  check_pictures(args.shape, args.channels);
  for (int64_t i = 0; i < args.shape.rows(); ++i) {
    // A copy of the pixel, because z may be x and the channels may change places.
    const float pixel[3] = {args.x[3 * i], args.x[3 * i + 1], args.x[3 * i + 2]};
    for (int ch = 0; ch < 3; ++ch) {
      const ChannelScale c = channel_scale(args.mode, ch);
      args.z[args.channels * i + ch] = pixel[c.source] * c.scale - c.shift;
    }
    for (int64_t ch = 3; ch < args.channels; ++ch) args.z[args.channels * i + ch] = 0.0f;
  }
}

void normalise_backward(const Exec&, const NormaliseBackward& args) {
  check_pictures(args.shape, args.channels);
  for (int64_t i = 0; i < args.shape.rows(); ++i) {
    const float* dz = args.dz + args.channels * i;
    const float gradient[3] = {dz[0], dz[1], dz[2]};
    for (int ch = 0; ch < 3; ++ch) {
      const ChannelScale c = channel_scale(args.mode, ch);
      args.dx[3 * i + c.source] = gradient[ch] * c.scale;
    }
  }
}

}  // namespace verace::kernels::reference
