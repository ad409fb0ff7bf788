// Backward data of convolutions with stride 1, as a forward convolution.
//
// oneDNN 2.6 has its newer matrix kernels (brgconv) for the forward direction only: on NHWC they
// are a few percent faster than its kernels for backward data.
#include "kernels/onednn/conv2d_turned.h"

#include <algorithm>
#include <vector>

#include "kernels/check.h"
#include "kernels/onednn/conv2d_forward.h"
#include "kernels/parallel.h"

namespace verace::kernels::onednn {

namespace {

ConvGeometry turned_geometry(const ConvGeometry& g) {
  ConvGeometry t = g;
  t.x = g.y();
  t.k = g.x.c;
  t.pad_h = g.r - 1 - g.pad_h;
  t.pad_w = g.s - 1 - g.pad_w;
  return t;
}

class Turned final : public ConvBackwardData {
 public:
  Turned(const Exec& exec, const ConvGeometry& g)
      : exec_(exec), g_(g), forward_(exec, turned_geometry(g), {}) {
    const ThreadScope threads(exec.threads);
    // [k, r, s, c] seen as the turned convolution's (output c, input k, r, s).
    const dnnl::memory::desc exchanged({g.x.c, g.k, g.r, g.s}, dnnl::memory::data_type::f32,
                                       {1, g.fan_in(), g.s * g.x.c, g.x.c});
    pack_ = Reorder(exchanged, forward_.weights_desc());
  }

  int64_t packed_count() const override { return forward_.packed_count(); }
  void pack(const float* w, float* packed) const override {
    const ThreadScope threads(exec_.threads);
    if (g_.r * g_.s == 1) {
      pack_.run(w, packed);
      return;
    }
    std::vector<float> turned(static_cast<size_t>(g_.filter_count()));
    turn(w, turned.data());
    pack_.run(turned.data(), packed);
  }
  int64_t scratch_bytes() const override { return forward_.scratch_bytes(); }
  const char* implementation() const override { return forward_.implementation(); }

  void run(const ConvBackwardDataArgs& args) const override {
    forward_.run({.x = args.dy, .packed = args.packed, .y = args.dx, .scratch = args.scratch});
  }

 private:
  // The taps in reverse order, which turns the filter by 180 degrees.
  void turn(const float* w, float* turned) const {
    const int64_t taps = g_.r * g_.s, c = g_.x.c;
    parallel_for(exec_, g_.k, [&](int64_t k) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        std::copy_n(w + (k * taps + tap) * c, c, turned + (k * taps + taps - 1 - tap) * c);
      }
    });
  }

  Exec exec_;
  ConvGeometry g_;
  OneDnnForward forward_;
  Reorder pack_;
};

}  // namespace

std::unique_ptr<ConvBackwardData> plan_turned(const Exec& exec, const ConvGeometry& g) {
  VERACE_CHECK(can_turn(g));
  return std::make_unique<Turned>(exec, g);
}

}  // namespace verace::kernels::onednn
