// Conversion between the storage types on the CPU.
#include "kernels/cast.h"

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {

template <typename From, typename To>
void cast(const Exec& exec, const CastOf<From, To>& args) {
  VERACE_CHECK(args.count >= 0);
  parallel_ranges(exec, args.count, kElementGrain, [&](int64_t begin, int64_t end) {
    const From* x = args.x;
    To* y = args.y;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = from_float<To>(to_float(x[i]));
  });
}

template void cast(const Exec&, const CastOf<float, Half>&);
template void cast(const Exec&, const CastOf<float, BFloat16>&);
template void cast(const Exec&, const CastOf<Half, float>&);
template void cast(const Exec&, const CastOf<BFloat16, float>&);
template void cast(const Exec&, const CastOf<Half, BFloat16>&);
template void cast(const Exec&, const CastOf<BFloat16, Half>&);

}  // namespace verace::kernels::cpu
