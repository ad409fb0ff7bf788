// Element-wise operations and the bias gradient, plainly: one element after the other.
#include "kernels/activation.h"

#include "kernels/check.h"
#include "kernels/scalar_math.h"

namespace verace::kernels::reference {

void leaky_relu_forward(const Exec&, const LeakyReluForward& args) {
  VERACE_CHECK(args.count >= 0 && args.slope >= 0.0f && args.slope < 1.0f);
  for (int64_t i = 0; i < args.count; ++i) args.y[i] = leaky_relu(args.x[i], args.slope);
}

void leaky_relu_backward(const Exec&, const LeakyReluBackward& args) {
  VERACE_CHECK(args.count >= 0 && args.slope >= 0.0f && args.slope < 1.0f);
  for (int64_t i = 0; i < args.count; ++i) {
    const float gradient = args.dy2 == nullptr ? args.dy[i] : args.dy[i] + args.dy2[i];
    args.dx[i] = gradient * leaky_relu_slope(args.y[i], args.slope);
  }
}

void add(const Exec&, const Add& args) {
  VERACE_CHECK(args.count >= 0);
  for (int64_t i = 0; i < args.count; ++i) {
    const float sum = args.a[i] + args.b[i];
    args.y[i] = args.relu ? leaky_relu(sum, 0.0f) : sum;
  }
}

void bias_add(const Exec&, const BiasAdd& args) {
  VERACE_CHECK(args.rows >= 0 && args.c > 0 && args.slope >= 0.0f && args.slope <= 1.0f);
  for (int64_t i = 0; i < args.rows * args.c; ++i) {
    args.y[i] = leaky_relu(args.x[i] + args.bias[i % args.c], args.slope);
  }
}

void bias_gradient(const Exec&, const BiasGradient& args) {
  VERACE_CHECK(args.rows > 0 && args.c > 0);
  if (args.mode == GradMode::kSkip) return;
  for (int64_t j = 0; j < args.c; ++j) {
    double sum = 0.0;
    for (int64_t row = 0; row < args.rows; ++row)
      sum += static_cast<double>(args.dy[row * args.c + j]);
    if (args.mode == GradMode::kOverwrite) args.db[j] = 0.0f;
    args.db[j] += static_cast<float>(sum);
  }
}

}  // namespace verace::kernels::reference
