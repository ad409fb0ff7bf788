// Backward data of strided convolutions with few input channels (the stem), as a dense forward one.
//
// Along one axis: output p meets tap r at input h = p * stride + r - pad. With h = i * stride + a
// (phase a) that is r = a + pad + stride * t, t = i - p: for each phase a handful of steps t, all
// in [first, last]. The dense convolution computes, with taps u = last - t,
//   out[o, (a, c)] = sum_u dy[o + u - dense_pad] * w[a + pad + stride * (last - u), c],
// so that input i of phase a is out[i + dense_pad - last].
#include "kernels/onednn/conv2d_subpixel.h"

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "kernels/onednn/conv2d_forward.h"
#include "kernels/parallel.h"

namespace verace::kernels::onednn {

namespace {

// One axis (height or width) of the rewriting.
struct Axis {
  int64_t stride, pad, taps;  // of the original
  int64_t last;               // largest step t that any phase has
  int64_t dense_taps;         // number of steps
  int64_t dense_pad;          // enough for all inputs on both ends
  int64_t offset() const { return dense_pad - last; }

  // The original's tap that phase a meets at dense tap u; -1: none.
  int64_t tap(int64_t a, int64_t u) const {
    const int64_t r = a + pad + stride * (last - u);
    return r >= 0 && r < taps ? r : -1;
  }
};

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

Axis make_axis(int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t pad) {
  Axis axis{stride, pad, taps, 0, 0, 0};
  // Phase 0 reaches the largest step, phase stride - 1 the smallest.
  axis.last = floor_div(taps - 1 - pad, stride);
  const int64_t first = -floor_div(stride - 1 + pad, stride);
  axis.dense_taps = axis.last - first + 1;
  const int64_t phase_size = (in + stride - 1) / stride;
  axis.dense_pad = std::max<int64_t>(0, axis.last);
  while (out + 2 * axis.dense_pad - axis.dense_taps + 1 < phase_size + axis.offset()) {
    ++axis.dense_pad;
  }
  return axis;
}

class Subpixel final : public ConvBackwardData {
 public:
  Subpixel(const Exec& exec, const ConvGeometry& g)
      : exec_(exec),
        g_(g),
        h_(make_axis(g.x.h, g.p(), g.r, g.stride_h, g.pad_h)),
        w_(make_axis(g.x.w, g.q(), g.s, g.stride_w, g.pad_w)),
        dense_{g.y(),
               g.stride_h * g.stride_w * g.x.c,
               h_.dense_taps,
               w_.dense_taps,
               1,
               1,
               h_.dense_pad,
               w_.dense_pad},
        forward_(exec, dense_, {}),
        name_(std::string("subpixel+") + forward_.implementation()) {}

  int64_t packed_count() const override { return forward_.packed_count(); }
  void pack(const float* w, float* packed) const override {
    std::vector<float> dense(static_cast<size_t>(dense_.filter_count()));
    spread_filter(w, dense.data());
    forward_.pack(dense.data(), packed);
  }
  int64_t scratch_bytes() const override { return out_bytes() + forward_.scratch_bytes(); }
  const char* implementation() const override { return name_.c_str(); }

  void run(const ConvBackwardDataArgs& args) const override {
    VERACE_CHECK(args.dx != nullptr && args.scratch != nullptr);
    float* out = reinterpret_cast<float*>(args.scratch);
    forward_.run(
        {.x = args.dy, .packed = args.packed, .y = out, .scratch = args.scratch + out_bytes()});
    channels_to_pixels(out, args.dx);
  }

 private:
  int64_t out_bytes() const {
    return round_up_64(static_cast<size_t>(dense_.y().count()) * sizeof(float));
  }

  // dense[(a, b, c), u, v, k] = w[k, tap(a, u), tap(b, v), c], zero where there is no such tap.
  void spread_filter(const float* w, float* dense) const {
    for (int64_t output = 0; output < dense_.k; ++output) {
      const int64_t c = output % g_.x.c, phase = output / g_.x.c;
      const int64_t a = phase / g_.stride_w, b = phase % g_.stride_w;
      for (int64_t u = 0; u < dense_.r; ++u) {
        for (int64_t v = 0; v < dense_.s; ++v) {
          const int64_t r = h_.tap(a, u), s = w_.tap(b, v);
          for (int64_t k = 0; k < g_.k; ++k) {
            const bool meets = r >= 0 && s >= 0;
            *dense++ = meets ? w[((k * g_.r + r) * g_.s + s) * g_.x.c + c] : 0.0f;
          }
        }
      }
    }
  }

  // dx[n, i*stride_h + a, j*stride_w + b, c] = out[n, i + offset, j + offset, (a, b, c)].
  void channels_to_pixels(const float* out, float* dx) const {
    const int64_t run = g_.stride_w * g_.x.c;  // (b, c) is contiguous on both sides
    parallel_for(exec_, g_.x.n * g_.x.h, [&](int64_t row) {
      const int64_t n = row / g_.x.h, h = row % g_.x.h;
      const int64_t o = h / g_.stride_h + h_.offset(), a = h % g_.stride_h;
      const float* from =
          out + ((n * dense_.p() + o) * dense_.q() + w_.offset()) * dense_.k + a * run;
      float* to = dx + row * g_.x.w * g_.x.c;
      float* const end = to + g_.x.w * g_.x.c;
      for (; to < end; to += run, from += dense_.k) std::copy_n(from, std::min(run, end - to), to);
    });
  }

  Exec exec_;
  ConvGeometry g_;
  Axis h_, w_;
  ConvGeometry dense_;
  OneDnnForward forward_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ConvBackwardData> plan_subpixel(const Exec& exec, const ConvGeometry& g) {
  VERACE_CHECK(wants_subpixel(g));
  return std::make_unique<Subpixel>(exec, g);
}

}  // namespace verace::kernels::onednn
