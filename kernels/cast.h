// Conversion between the storage types: fp32, fp16, bf16.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"
#include "kernels/storage.h"

namespace verace::kernels {

// y = x in the storage type To: to nearest, ties to even; numbers beyond the largest become
// infinity; a NaN stays a NaN, but devices may choose another payload. From fp16 to bf16 and back
// by way of fp32, in one rounding.
template <typename From, typename To>
struct CastOf {
  int64_t count = 0;
  const From* x = nullptr;
  To* y = nullptr;  // overwritten; does not overlap x
};

// Defined for every From and To of {float, Half, BFloat16} that differ.
namespace cpu {
template <typename From, typename To>
void cast(const Exec&, const CastOf<From, To>&);
}
namespace reference {
template <typename From, typename To>
void cast(const Exec&, const CastOf<From, To>&);
}
namespace cuda {
template <typename From, typename To>
void cast(const Exec&, const CastOf<From, To>&);
}

template <typename From, typename To>
void cast(const Exec& exec, const CastOf<From, To>& args) {
  dispatch(exec, args, cpu::cast<From, To>, reference::cast<From, To>,
           [](auto&... a) { cuda::cast(a...); });
}

}  // namespace verace::kernels
