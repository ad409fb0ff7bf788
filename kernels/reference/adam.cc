// Adam element by element in double, rounded to float once at the end.
#include "kernels/adam.h"

#include <cmath>

namespace verace::kernels::reference {
namespace {

double element(const AnyStorage<const void>& numbers, int64_t i) {
  double value = 0.0;
  with_type(numbers, [&](const auto* p) { value = to_float(p[i]); });
  return value;
}

}  // namespace

// Kingma & Ba 2015, algorithm 1; the bias corrections are inside step_size and root_scale.
void adam_step(const Exec&, const AdamStep& args) {
  if (args.skip != nullptr && *args.skip != 0) return;
  const AdamFactors f = args.live_factors != nullptr ? *args.live_factors : args.factors;
  const double beta1 = f.beta1, beta2 = f.beta2, rest1 = f.rest1, rest2 = f.rest2;
  const double step_size = f.step_size, root_scale = f.root_scale, epsilon = f.epsilon;
  const double scale = args.gradient_scale != nullptr ? *args.gradient_scale : 1.0;
  for (const AdamTensor& tensor : args.tensors) {
    for (int64_t i = 0; i < tensor.count; ++i) {
      const double g = element(tensor.g, i) / scale;
      const double m = beta1 * tensor.m[i] + rest1 * g;
      const double v = beta2 * tensor.v[i] + rest2 * g * g;
      const double w = tensor.w[i] - step_size * m / (std::sqrt(v) * root_scale + epsilon);
      tensor.m[i] = static_cast<float>(m);
      tensor.v[i] = static_cast<float>(v);
      tensor.w[i] = static_cast<float>(w);
      if (tensor.copy.data() == nullptr) continue;
      with_type(tensor.copy, [&]<typename T>(T* copy) { copy[i] = from_float<T>(tensor.w[i]); });
    }
  }
}

void adam_advance(const Exec&, const AdamAdvance& args) { advance(args); }

}  // namespace verace::kernels::reference
