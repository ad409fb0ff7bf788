// Adam element by element in double, rounded to float once at the end.
#include "kernels/adam.h"

#include <cmath>

namespace verace::kernels::reference {

// Kingma & Ba 2015, algorithm 1; the bias corrections are inside step_size and root_scale.
void adam_step(const Exec&, const AdamStep& args) {
  const double beta1 = args.factors.beta1, beta2 = args.factors.beta2;
  const double rest1 = args.factors.rest1, rest2 = args.factors.rest2;
  const double step_size = args.factors.step_size, root_scale = args.factors.root_scale;
  const double epsilon = args.factors.epsilon;
  for (const AdamTensor& tensor : args.tensors) {
    for (int64_t i = 0; i < tensor.count; ++i) {
      const double g = tensor.g[i];
      const double m = beta1 * tensor.m[i] + rest1 * g;
      const double v = beta2 * tensor.v[i] + rest2 * g * g;
      const double w = tensor.w[i] - step_size * m / (std::sqrt(v) * root_scale + epsilon);
      tensor.m[i] = static_cast<float>(m);
      tensor.v[i] = static_cast<float>(v);
      tensor.w[i] = static_cast<float>(w);
    }
  }
}

}  // namespace verace::kernels::reference
