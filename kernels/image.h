// Pictures to network input and back: 8-bit to [0, 1], horizontal flip, normalisation and its
// gradient.
#pragma once

#include <cstdint>

#include "kernels/exec.h"
#include "kernels/scalar_math.h"
#include "kernels/shape.h"

namespace verace::kernels {

// y = x / 255, mirrored left-right where flip[n] != 0.
struct PixelsToUnit {
  Nhwc shape;                     // c = 3
  const uint8_t* x = nullptr;     // [n, h, w, 3] RGB
  const uint8_t* flip = nullptr;  // [n] or nullptr
  float* y = nullptr;             // [n, h, w, 3] in [0, 1], overwritten
};

// z = channel_scale(mode) of x (scalar_math.h): torch (x - mean)/std, caffe 255*x in BGR minus
// mean, tf 2x - 1, unit x.
struct Normalise {
  Nhwc shape;                // c = 3
  const float* x = nullptr;  // [n, h, w, 3] RGB in [0, 1]
  PixelScale mode = PixelScale::kTorch;
  float* z = nullptr;  // [n, h, w, 3], overwritten; may alias x
};

// The same from 8-bit pixels with flip, in one pass: z equals Normalise(PixelsToUnit(x)) to the
// last bit.
struct NormalisePixels {
  Nhwc shape;
  const uint8_t* x = nullptr;
  const uint8_t* flip = nullptr;
  PixelScale mode = PixelScale::kTorch;
  float* z = nullptr;
};

// dx = gradient with respect to the unit picture: dz[ch] * scale, back in RGB order.
struct NormaliseBackward {
  Nhwc shape;
  const float* dz = nullptr;
  PixelScale mode = PixelScale::kTorch;
  float* dx = nullptr;  // overwritten; may alias dz
};

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

inline void pixels_to_unit(const Exec& exec, const PixelsToUnit& args) {
  dispatch(exec, args, cpu::pixels_to_unit, reference::pixels_to_unit);
}
inline void normalise(const Exec& exec, const Normalise& args) {
  dispatch(exec, args, cpu::normalise, reference::normalise);
}
inline void normalise_pixels(const Exec& exec, const NormalisePixels& args) {
  dispatch(exec, args, cpu::normalise_pixels, reference::normalise_pixels);
}
inline void normalise_backward(const Exec& exec, const NormaliseBackward& args) {
  dispatch(exec, args, cpu::normalise_backward, reference::normalise_backward);
}

}  // namespace verace::kernels
