// Convolution and its two gradients, as their formulas read.
//
// All three run over the same set of products: output pixel (p, q) and filter tap (r, s) meet at
// input pixel (h, w) = (p * stride_h + r - pad_h, q * stride_w + s - pad_w), if that lies inside.
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::reference {

namespace {

constexpr const char* kName = "reference";

bool inside(int64_t i, int64_t size) { return i >= 0 && i < size; }

// Offsets of element [a, b, c, d] in x [n, h, w, c], y [n, p, q, k] and w [k, r, s, c].
int64_t x_at(const ConvGeometry& g, int64_t n, int64_t h, int64_t w, int64_t c) {
  return ((n * g.x.h + h) * g.x.w + w) * g.x.c + c;
}
int64_t y_at(const ConvGeometry& g, int64_t n, int64_t p, int64_t q, int64_t k) {
  return ((n * g.p() + p) * g.q() + q) * g.k + k;
}
int64_t w_at(const ConvGeometry& g, int64_t k, int64_t r, int64_t s, int64_t c) {
  return ((k * g.r + r) * g.s + s) * g.x.c + c;
}

class Forward final : public ConvForward {
 public:
  Forward(const Exec& exec, const ConvGeometry& g, ConvPostOps post)
      : exec_(exec), g_(g), post_(post) {}
  int64_t packed_count() const override { return g_.filter_count(); }
  void pack(const float* w, float* packed) const override {
    std::copy_n(w, g_.filter_count(), packed);
  }
  int64_t scratch_bytes() const override { return 0; }
  const char* implementation() const override { return kName; }

  void run(const ConvForwardArgs& args) const override {
    VERACE_CHECK(args.x != nullptr && args.packed != nullptr && args.y != nullptr);
    VERACE_CHECK(args.x != args.y);
    VERACE_CHECK(!post_.bias || args.bias != nullptr);
    VERACE_CHECK(!post_.add || args.add != nullptr);
    const int64_t rows = g_.x.n * g_.p();
    parallel_for(exec_, rows, [&](int64_t row) {
      const int64_t n = row / g_.p(), p = row % g_.p();
      for (int64_t q = 0; q < g_.q(); ++q) {
        for (int64_t k = 0; k < g_.k; ++k) {
          const int64_t at = y_at(g_, n, p, q, k);
          double sum = one_output(args.x, args.packed, n, p, q, k);
          if (post_.bias) sum += args.bias[k];
          if (post_.add) sum += args.add[at];                    // before the store: add may be y
          if (post_.relu && sum < 0.0) sum = post_.slope * sum;  // a NaN stays one
          args.y[at] = static_cast<float>(sum);
        }
      }
    });
  }

 private:
  double one_output(const float* x, const float* w, int64_t n, int64_t p, int64_t q,
                    int64_t k) const {
    double sum = 0.0;
    for (int64_t r = 0; r < g_.r; ++r) {
      for (int64_t s = 0; s < g_.s; ++s) {
        const int64_t h_in = p * g_.stride_h + r - g_.pad_h;
        const int64_t w_in = q * g_.stride_w + s - g_.pad_w;
        if (!inside(h_in, g_.x.h) || !inside(w_in, g_.x.w)) continue;
        for (int64_t c = 0; c < g_.x.c; ++c) {
          sum += static_cast<double>(x[x_at(g_, n, h_in, w_in, c)]) * w[w_at(g_, k, r, s, c)];
        }
      }
    }
    return sum;
  }

  Exec exec_;
  ConvGeometry g_;
  ConvPostOps post_;
};

class BackwardData final : public ConvBackwardData {
 public:
  BackwardData(const Exec& exec, const ConvGeometry& g) : exec_(exec), g_(g) {}
  int64_t packed_count() const override { return g_.filter_count(); }
  void pack(const float* w, float* packed) const override {
    std::copy_n(w, g_.filter_count(), packed);
  }
  int64_t scratch_bytes() const override { return 0; }
  const char* implementation() const override { return kName; }

  void run(const ConvBackwardDataArgs& args) const override {
    VERACE_CHECK(args.dy != nullptr && args.packed != nullptr && args.dx != nullptr);
    const int64_t rows = g_.x.n * g_.x.h;
    parallel_for(exec_, rows, [&](int64_t row) {
      const int64_t n = row / g_.x.h, h = row % g_.x.h;
      for (int64_t w = 0; w < g_.x.w; ++w) {
        for (int64_t c = 0; c < g_.x.c; ++c) {
          args.dx[x_at(g_, n, h, w, c)] =
              static_cast<float>(one_input(args.dy, args.packed, n, h, w, c));
        }
      }
    });
  }

 private:
  // Sum over the outputs that read input pixel (h, w): h + pad_h - r must be p * stride_h.
  double one_input(const float* dy, const float* weights, int64_t n, int64_t h, int64_t w,
                   int64_t c) const {
    double sum = 0.0;
    for (int64_t r = 0; r < g_.r; ++r) {
      for (int64_t s = 0; s < g_.s; ++s) {
        const int64_t above = h + g_.pad_h - r, left = w + g_.pad_w - s;
        if (above % g_.stride_h != 0 || left % g_.stride_w != 0) continue;
        const int64_t p = above / g_.stride_h, q = left / g_.stride_w;
        if (!inside(p, g_.p()) || !inside(q, g_.q())) continue;
        for (int64_t k = 0; k < g_.k; ++k) {
          sum += static_cast<double>(dy[y_at(g_, n, p, q, k)]) * weights[w_at(g_, k, r, s, c)];
        }
      }
    }
    return sum;
  }

  Exec exec_;
  ConvGeometry g_;
};

class BackwardFilter final : public ConvBackwardFilter {
 public:
  BackwardFilter(const Exec& exec, const ConvGeometry& g) : exec_(exec), g_(g) {}
  int64_t scratch_bytes() const override { return 0; }
  const char* implementation() const override { return kName; }

  void run(const ConvBackwardFilterArgs& args) const override {
    VERACE_CHECK(args.x != nullptr && args.dy != nullptr && args.dw != nullptr);
    VERACE_CHECK(args.mode != GradMode::kSkip);
    parallel_for(exec_, g_.k * g_.r, [&](int64_t row) {
      const int64_t k = row / g_.r, r = row % g_.r;
      for (int64_t s = 0; s < g_.s; ++s) {
        for (int64_t c = 0; c < g_.x.c; ++c) {
          float& dw = args.dw[w_at(g_, k, r, s, c)];
          const double sum = one_weight(args.x, args.dy, k, r, s, c);
          dw = static_cast<float>(args.mode == GradMode::kAccumulate ? dw + sum : sum);
        }
      }
    });
  }

 private:
  double one_weight(const float* x, const float* dy, int64_t k, int64_t r, int64_t s,
                    int64_t c) const {
    double sum = 0.0;
    for (int64_t n = 0; n < g_.x.n; ++n) {
      for (int64_t p = 0; p < g_.p(); ++p) {
        for (int64_t q = 0; q < g_.q(); ++q) {
          const int64_t h_in = p * g_.stride_h + r - g_.pad_h;
          const int64_t w_in = q * g_.stride_w + s - g_.pad_w;
          if (!inside(h_in, g_.x.h) || !inside(w_in, g_.x.w)) continue;
          sum += static_cast<double>(x[x_at(g_, n, h_in, w_in, c)]) * dy[y_at(g_, n, p, q, k)];
        }
      }
    }
    return sum;
  }

  Exec exec_;
  ConvGeometry g_;
};

}  // namespace

std::unique_ptr<ConvForward> plan_conv_forward(const Exec& exec, const ConvGeometry& g,
                                               ConvPostOps post) {
  validate(post);
  validate(g);
  return std::make_unique<Forward>(exec, g, post);
}

std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec& exec, const ConvGeometry& g) {
  validate(g);
  return std::make_unique<BackwardData>(exec, g);
}

std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec& exec,
                                                              const ConvGeometry& g) {
  validate(g);
  return std::make_unique<BackwardFilter>(exec, g);
}

}  // namespace verace::kernels::reference
