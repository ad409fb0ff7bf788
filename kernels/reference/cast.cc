// Conversion between the storage types, one number after the other.
#include "kernels/cast.h"

#include "kernels/check.h"

namespace verace::kernels::reference {

template <typename From, typename To>
void cast(const Exec&, const CastOf<From, To>& args) {
  VERACE_CHECK(args.count >= 0);
  for (int64_t i = 0; i < args.count; ++i) args.y[i] = from_float<To>(to_float(args.x[i]));
}

template void cast(const Exec&, const CastOf<float, Half>&);
template void cast(const Exec&, const CastOf<float, BFloat16>&);
template void cast(const Exec&, const CastOf<Half, float>&);
template void cast(const Exec&, const CastOf<BFloat16, float>&);
template void cast(const Exec&, const CastOf<Half, BFloat16>&);
template void cast(const Exec&, const CastOf<BFloat16, Half>&);

}  // namespace verace::kernels::reference
