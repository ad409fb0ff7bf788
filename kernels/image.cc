// Pictures to network input and back on the CPU: look-up tables for 8-bit pixels, vector loops for
// floats.
#include "kernels/image.h"

#include <algorithm>
#include <array>

#include "kernels/check.h"
#include "kernels/parallel.h"
#include "kernels/scalar_math.h"

namespace verace::kernels {

bool check_pictures(const Nhwc& shape, int64_t channels) {
  VERACE_CHECK(shape.n >= 0 && shape.h >= 0 && shape.w >= 0 && shape.c == 3);
  VERACE_CHECK(channels == 3 || channels == 4 || channels == 8);
  return shape.count() > 0;
}

ChannelScale channel_scale(PixelScale mode, int channel) {
  constexpr float kCaffeMean[3] = {103.939f, 116.779f, 123.68f};  // B, G, R
  constexpr float kRoundedMean[3] = {104.0f, 117.0f, 123.0f};
  constexpr float kTorchMean[3] = {0.485f, 0.456f, 0.406f};
  constexpr float kTorchStd[3] = {0.229f, 0.224f, 0.225f};
  switch (mode) {
    case PixelScale::kCaffe:
      return {2 - channel, 255.0f, kCaffeMean[channel]};
    case PixelScale::kCaffeRounded:
      return {2 - channel, 255.0f, kRoundedMean[channel]};
    case PixelScale::kTorch:
      return {channel, 1.0f / kTorchStd[channel], kTorchMean[channel] / kTorchStd[channel]};
    case PixelScale::kTf:
      return {channel, 2.0f, 1.0f};
    case PixelScale::kUnit:
      break;
  }
  return {channel, 1.0f, 0.0f};
}

PictureScale picture_scale(PixelScale mode) {
  PictureScale s{};
  for (int ch = 0; ch < 3; ++ch) {
    const ChannelScale c = channel_scale(mode, ch);
    s.scale[ch] = c.scale;
    s.shift[ch] = c.shift;
  }
  s.reversed = channel_scale(mode, 0).source == 2;
  return s;
}

}  // namespace verace::kernels

namespace verace::kernels::cpu {
namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kPixelGrain = kElementGrain / 4;

// What a channel of the output makes of each of the 256 possible pixel values, and from which
// channel it reads.
struct ChannelTable {
  int source = 0;
  std::array<float, 256> value{};
};
using Tables = std::array<ChannelTable, kChannels>;

// Where the values go: [n, h, w, channels].
struct Target {
  float* data;
  int64_t channels;
};

// y[n, h, w, ch] = table[ch][x[n, h, w or mirrored w, source]], 0 for ch > 2. A table gives the
// very bits that computing each pixel would give, at the price of a load.
void apply_tables(const Exec& exec, const Nhwc& shape, const Tables& tables, const uint8_t* x,
                  const uint8_t* flip, const Target& y) {
  check_pictures(shape, y.channels);
  const int64_t row_length = shape.w * kChannels;
  const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, row_length));
  parallel_ranges(exec, shape.n * shape.h, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const bool mirrored = flip && flip[row / shape.h];
      const uint8_t* from = x + row * row_length + (mirrored ? row_length - kChannels : 0);
      const int64_t stride = mirrored ? -kChannels : kChannels;
      float* to = y.data + row * shape.w * y.channels;
      for (int64_t w = 0; w < shape.w; ++w, from += stride, to += y.channels) {
        to[0] = tables[0].value[from[tables[0].source]];
        to[1] = tables[1].value[from[tables[1].source]];
        to[2] = tables[2].value[from[tables[2].source]];
        for (int64_t ch = kChannels; ch < y.channels; ++ch) to[ch] = 0.0f;
      }
    }
  });
}

// z[ch] = x[source] * scale - shift per pixel. The order of channels is a template parameter
// because the compiler turns constant permutations into shuffles. `omp simd`: a pixel touches only
// its own three floats and reads them before it writes, so z may be x.
template <bool reversed>
void normalise_range(const PictureScale& s, const float* x, float* z, int64_t begin, int64_t end) {
  constexpr int first = reversed ? 2 : 0, last = 2 - first;
  const float scale0 = s.scale[0], scale1 = s.scale[1], scale2 = s.scale[2];
  const float shift0 = s.shift[0], shift1 = s.shift[1], shift2 = s.shift[2];
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float a = x[3 * i + first], b = x[3 * i + 1], c = x[3 * i + last];
    z[3 * i] = scale_pixel(a, scale0, shift0);
    z[3 * i + 1] = scale_pixel(b, scale1, shift1);
    z[3 * i + 2] = scale_pixel(c, scale2, shift2);
  }
}

// dx[source] = dz[ch] * scale per pixel.
template <bool reversed>
void backward_range(const PictureScale& s, const float* dz, float* dx, int64_t begin, int64_t end) {
  constexpr int first = reversed ? 2 : 0, last = 2 - first;
  const float scale0 = s.scale[0], scale1 = s.scale[1], scale2 = s.scale[2];
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float a = dz[3 * i], b = dz[3 * i + 1], c = dz[3 * i + 2];
    dx[3 * i + first] = a * scale0;
    dx[3 * i + 1] = b * scale1;
    dx[3 * i + last] = c * scale2;
  }
}

// The same to and from tensors with padded channels, which nobody needs fast on a CPU.
void normalise_padded(const PictureScale& s, const Normalise& args, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float* pixel = args.x + kChannels * i;
    float* z = args.z + args.channels * i;
    for (int ch = 0; ch < kChannels; ++ch) {
      z[ch] = scale_pixel(pixel[s.reversed ? 2 - ch : ch], s.scale[ch], s.shift[ch]);
    }
    for (int64_t ch = kChannels; ch < args.channels; ++ch) z[ch] = 0.0f;
  }
}

void backward_padded(const PictureScale& s, const NormaliseBackward& args, int64_t begin,
                     int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    for (int ch = 0; ch < kChannels; ++ch) {
      args.dx[kChannels * i + (s.reversed ? 2 - ch : ch)] =
          args.dz[args.channels * i + ch] * s.scale[ch];
    }
  }
}

}  // namespace

void pixels_to_unit(const Exec& exec, const PixelsToUnit& args) {
  Tables tables;
  for (int ch = 0; ch < kChannels; ++ch) {
    tables[ch].source = ch;
    for (int value = 0; value < 256; ++value) tables[ch].value[value] = unit_of_pixel(value);
  }
  apply_tables(exec, args.shape, tables, args.x, args.flip, {args.y, kChannels});
}

void normalise_pixels(const Exec& exec, const NormalisePixels& args) {
  Tables tables;
  for (int ch = 0; ch < kChannels; ++ch) {
    const ChannelScale c = channel_scale(args.mode, ch);
    tables[ch].source = c.source;
    for (int value = 0; value < 256; ++value)
      tables[ch].value[value] = scale_pixel(unit_of_pixel(value), c.scale, c.shift);
  }
  apply_tables(exec, args.shape, tables, args.x, args.flip, {args.z, args.channels});
}

void normalise(const Exec& exec, const Normalise& args) {
  check_pictures(args.shape, args.channels);
  const PictureScale s = picture_scale(args.mode);
  const auto run = s.reversed ? normalise_range<true> : normalise_range<false>;
  parallel_ranges(exec, args.shape.rows(), kPixelGrain, [&](int64_t begin, int64_t end) {
    if (args.channels == kChannels) return run(s, args.x, args.z, begin, end);
    normalise_padded(s, args, begin, end);
  });
}

void normalise_backward(const Exec& exec, const NormaliseBackward& args) {
  check_pictures(args.shape, args.channels);
  const PictureScale s = picture_scale(args.mode);
  const auto run = s.reversed ? backward_range<true> : backward_range<false>;
  parallel_ranges(exec, args.shape.rows(), kPixelGrain, [&](int64_t begin, int64_t end) {
    if (args.channels == kChannels) return run(s, args.dz, args.dx, begin, end);
    backward_padded(s, args, begin, end);
  });
}

}  // namespace verace::kernels::cpu
