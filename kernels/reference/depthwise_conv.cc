// Depthwise convolution, as its formula reads.
#include "kernels/depthwise_conv.h"

#include "kernels/scalar_math.h"

namespace verace::kernels::reference {
namespace {

double one_output(const DepthwiseConv& a, int64_t n, int64_t p, int64_t q, int64_t c) {
  double sum = a.bias[c];
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t s = 0; s < 3; ++s) {
      const int64_t h = p * a.stride + r - 1, w = q * a.stride + s - 1;
      if (h < 0 || h >= a.shape.h || w < 0 || w >= a.shape.w) continue;
      const double x = a.x[((n * a.shape.h + h) * a.shape.w + w) * a.shape.c + c];
      sum += x * a.w[(r * 3 + s) * a.shape.c + c];
    }
  }
  return sum;
}

}  // namespace

void depthwise_conv(const Exec&, const DepthwiseConv& a) {
  validate(a);
  const Nhwc y = a.y_shape();
  for (int64_t i = 0; i < y.count(); ++i) {
    const int64_t c = i % y.c, q = i / y.c % y.w, p = i / y.c / y.w % y.h, n = i / y.c / y.w / y.h;
    const double sum = one_output(a, n, p, q, c);
    a.y[i] = static_cast<float>(leaky_relu(sum, static_cast<double>(a.slope)));
  }
}

}  // namespace verace::kernels::reference
