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

// The extents of an operation's tensors, and the offset of element [a, b, c, d] in each.
struct Layout : ConvGeometry {
  explicit Layout(const ConvGeometry& g) : ConvGeometry(g), rows(g.p()), columns(g.q()) {}

  int64_t x_at(int64_t n, int64_t h, int64_t w, int64_t c) const {  // [n, h, w, c]
    return ((n * x.h + h) * x.w + w) * x.c + c;
  }
  int64_t y_at(int64_t n, int64_t p, int64_t q, int64_t channel) const {  // [n, p, q, k]
    return ((n * rows + p) * columns + q) * k + channel;
  }
  int64_t w_at(int64_t filter, int64_t tap_r, int64_t tap_s, int64_t c) const {  // [k, r, s, c]
    return ((filter * r + tap_r) * s + tap_s) * x.c + c;
  }

  int64_t rows, columns;  // of y: p and q, which cost divisions
};

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
    parallel_for(exec_, g_.x.n * g_.rows, [&](int64_t row) {
      const int64_t n = row / g_.rows, p = row % g_.rows;
      for (int64_t q = 0; q < g_.columns; ++q) {
        for (int64_t k = 0; k < g_.k; ++k) {
          const int64_t at = g_.y_at(n, p, q, k);
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
        const float* pixel = x + g_.x_at(n, h_in, w_in, 0);
        const float* tap = w + g_.w_at(k, r, s, 0);
        for (int64_t c = 0; c < g_.x.c; ++c) sum += static_cast<double>(pixel[c]) * tap[c];
      }
    }
    return sum;
  }

  Exec exec_;
  Layout g_;
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
          args.dx[g_.x_at(n, h, w, c)] =
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
        if (!inside(p, g_.rows) || !inside(q, g_.columns)) continue;
        const float* pixel = dy + g_.y_at(n, p, q, 0);
        const float* tap = weights + g_.w_at(0, r, s, c);
        const int64_t stride = g_.w_at(1, 0, 0, 0);  // from filter to filter
        for (int64_t k = 0; k < g_.k; ++k) {
          sum += static_cast<double>(pixel[k]) * tap[k * stride];
        }
      }
    }
    return sum;
  }

  Exec exec_;
  Layout g_;
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
          float& dw = args.dw[g_.w_at(k, r, s, c)];
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
      for (int64_t p = 0; p < g_.rows; ++p) {
        const int64_t h_in = p * g_.stride_h + r - g_.pad_h;
        if (!inside(h_in, g_.x.h)) continue;
        for (int64_t q = 0; q < g_.columns; ++q) {
          const int64_t w_in = q * g_.stride_w + s - g_.pad_w;
          if (!inside(w_in, g_.x.w)) continue;
          sum += static_cast<double>(x[g_.x_at(n, h_in, w_in, c)]) * dy[g_.y_at(n, p, q, k)];
        }
      }
    }
    return sum;
  }

  Exec exec_;
  Layout g_;
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
