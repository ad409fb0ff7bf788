// Loss scaling, plainly: one element after the other.
#include "kernels/loss_scale.h"

#include <cmath>

#include "kernels/check.h"

namespace verace::kernels::reference {

void find_non_finite(const Exec&, const FindNonFinite& args) {
  for (const ConstStorageTensor& tensor : args.tensors) {
    VERACE_CHECK(tensor.count >= 0);
    with_type(tensor.data, [&](const auto* x) {
      for (int64_t i = 0; i < tensor.count; ++i) {
        if (!std::isfinite(to_float(x[i]))) *args.found = 1;
      }
    });
  }
}

void unscale(const Exec&, const Unscale& args) {
  for (const StorageTensor& tensor : args.tensors) {
    VERACE_CHECK(tensor.count >= 0);
    with_type(tensor.data, [&]<typename T>(T* x) {
      for (int64_t i = 0; i < tensor.count; ++i) {
        x[i] = from_float<T>(to_float(x[i]) * (1.0f / *args.scale));
      }
    });
  }
}

void update_loss_scale(const Exec&, const UpdateLossScale& args) {
  *args.state = next_loss_scale(args.rule, *args.state, *args.found != 0);
  *args.found = 0;
}

}  // namespace verace::kernels::reference
