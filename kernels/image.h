// Pictures to network input and back: 8-bit to [0, 1], horizontal flip, normalisation and its
// gradient.
#pragma once

#include <cstdint>

#include "kernels/choices.h"
#include "kernels/dispatch.h"
#include "kernels/shape.h"
#include "kernels/storage.h"

namespace verace::kernels {

struct ChannelScale {
  int source;
  float scale, shift;
};
ChannelScale channel_scale(PixelScale mode, int channel);

// y = x / 255, mirrored left-right where flip[n] != 0.
struct PixelsToUnit {
  Nhwc shape;                     // c = 3
  const uint8_t* x = nullptr;     // [n, h, w, 3] RGB
  const uint8_t* flip = nullptr;  // [n] or nullptr
  float* y = nullptr;             // [n, h, w, 3] in [0, 1], overwritten
};

// z = channel_scale(mode) of x: torch (x - mean)/std, caffe and
// caffe-rounded 255*x in BGR minus mean, tf 2x - 1, unit x. Convolutions on a GPU want more than
// three channels in memory: those behind the third are zero.
template <typename T>
struct NormaliseOf {
  Nhwc shape;                // c = 3
  const float* x = nullptr;  // [n, h, w, 3] RGB in [0, 1]
  PixelScale mode = PixelScale::kTorch;
  T* z = nullptr;        // [n, h, w, channels], overwritten; may be x if it is [n, h, w, 3] too
  int64_t channels = 3;  // 3, 4 or 8
};
using Normalise = NormaliseOf<float>;

// The same from 8-bit pixels with flip, in one pass: z equals Normalise(PixelsToUnit(x)) to the
// last bit.
template <typename T>
struct NormalisePixelsOf {
  Nhwc shape;
  const uint8_t* x = nullptr;
  const uint8_t* flip = nullptr;
  PixelScale mode = PixelScale::kTorch;
  T* z = nullptr;
  int64_t channels = 3;
};
using NormalisePixels = NormalisePixelsOf<float>;

// dx = gradient with respect to the unit picture: dz[ch] * scale, back in RGB order. What stands in
// dz behind the third channel is ignored.
template <typename T>
struct NormaliseBackwardOf {
  Nhwc shape;
  const T* dz = nullptr;  // [n, h, w, channels]
  PixelScale mode = PixelScale::kTorch;
  float* dx = nullptr;  // [n, h, w, 3], overwritten; may be dz if it is [n, h, w, 3] too
  int64_t channels = 3;
};
using NormaliseBackward = NormaliseBackwardOf<float>;

// Throws Error(kInternal) unless the sizes are possible; true if there is anything to do.
bool check_pictures(const Nhwc& shape, int64_t channels = 3);

// channel_scale() of all three channels.
struct PictureScale {
  float scale[3], shift[3];
  bool reversed;  // channel ch reads channel 2 - ch of the picture
};
PictureScale picture_scale(PixelScale mode);

namespace cpu {
void pixels_to_unit(const Exec&, const PixelsToUnit&);
void normalise(const Exec&, const Normalise&);
void normalise_pixels(const Exec&, const NormalisePixels&);
void normalise_backward(const Exec&, const NormaliseBackward&);
}  // namespace cpu
namespace reference {
void pixels_to_unit(const Exec&, const PixelsToUnit&);
void normalise(const Exec&, const Normalise&);
void normalise_pixels(const Exec&, const NormalisePixels&);
void normalise_backward(const Exec&, const NormaliseBackward&);
}  // namespace reference
namespace cuda {
void pixels_to_unit(const Exec&, const PixelsToUnit&);
template <typename T>
void normalise(const Exec&, const NormaliseOf<T>&);
template <typename T>
void normalise_pixels(const Exec&, const NormalisePixelsOf<T>&);
template <typename T>
void normalise_backward(const Exec&, const NormaliseBackwardOf<T>&);
}  // namespace cuda

inline void pixels_to_unit(const Exec& exec, const PixelsToUnit& args) {
  dispatch(exec, args, cpu::pixels_to_unit, reference::pixels_to_unit,
           [](auto&... a) { cuda::pixels_to_unit(a...); });
}
template <typename T = float>
void normalise(const Exec& exec, const NormaliseOf<T>& args) {
  dispatch(exec, args, cpu::normalise, reference::normalise,
           [](auto&... a) { cuda::normalise(a...); });
}
template <typename T = float>
void normalise_pixels(const Exec& exec, const NormalisePixelsOf<T>& args) {
  dispatch(exec, args, cpu::normalise_pixels, reference::normalise_pixels,
           [](auto&... a) { cuda::normalise_pixels(a...); });
}
template <typename T = float>
void normalise_backward(const Exec& exec, const NormaliseBackwardOf<T>& args) {
  dispatch(exec, args, cpu::normalise_backward, reference::normalise_backward,
           [](auto&... a) { cuda::normalise_backward(a...); });
}

}  // namespace verace::kernels
