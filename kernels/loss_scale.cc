// Loss scaling on the CPU.
#include "kernels/loss_scale.h"

#include <atomic>
#include <bit>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {
namespace {

constexpr uint32_t kExponent = 0x7F800000u;  // all ones: NaN or infinity

template <typename T>
bool any_non_finite(const Exec& exec, const T* x, int64_t count) {
  std::atomic<bool> found = false;
  parallel_ranges(exec, count, kElementGrain, [&](int64_t begin, int64_t end) {
    int32_t here = 0;
#pragma omp simd reduction(+ : here)
    for (int64_t i = begin; i < end; ++i) {
      here += (std::bit_cast<uint32_t>(to_float(x[i])) & kExponent) == kExponent ? 1 : 0;
    }
    if (here > 0) found = true;
  });
  return found;
}

}  // namespace

void find_non_finite(const Exec& exec, const FindNonFinite& args) {
  for (const ConstStorageTensor& tensor : args.tensors) {
    VERACE_CHECK(tensor.count >= 0);
    with_type(tensor.data, [&](const auto* x) {
      if (any_non_finite(exec, x, tensor.count)) *args.found = 1;
    });
  }
}

void unscale(const Exec& exec, const Unscale& args) {
  const float inverse = 1.0f / *args.scale;
  for (const StorageTensor& tensor : args.tensors) {
    VERACE_CHECK(tensor.count >= 0);
    with_type(tensor.data, [&]<typename T>(T* x) {
      parallel_ranges(exec, tensor.count, kElementGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) x[i] = from_float<T>(to_float(x[i]) * inverse);
      });
    });
  }
}

void update_loss_scale(const Exec&, const UpdateLossScale& args) {
  *args.state = next_loss_scale(args.rule, *args.state, *args.found != 0);
  *args.found = 0;
}

}  // namespace verace::kernels::cpu
