// Conversion between the storage types on CUDA devices, eight numbers at a time.
#include "kernels/cast.h"

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;

constexpr int kWidth = 8;  // 16 bytes of a 16-bit type, twice 16 bytes of fp32

template <int kVector, typename From, typename To>
__global__ void __launch_bounds__(kElementThreads)
    cast_kernel(size_t count, const From* __restrict__ x, To* __restrict__ y) {
  simt::for_each_vector<kVector>(count, [&](auto width, size_t i) {
    float v[decltype(width)::value];
    simt::load(x + i, v);
    simt::store(y + i, v);
  });
}

}  // namespace

template <typename From, typename To>
void cast(const Exec& exec, const CastOf<From, To>& a) {
  VERACE_CHECK(a.count >= 0);
  if (a.count == 0) return;
  const bool aligned = simt::is_vector_aligned(a.x) && simt::is_vector_aligned(a.y);
  const auto kernel = aligned ? cast_kernel<kWidth, From, To> : cast_kernel<1, From, To>;
  simt::launch(kernel, simt::element_wise<kWidth>(a.count, exec.stream),
               static_cast<size_t>(a.count), a.x, a.y);
}

template void cast(const Exec&, const CastOf<float, Half>&);
template void cast(const Exec&, const CastOf<float, BFloat16>&);
template void cast(const Exec&, const CastOf<Half, float>&);
template void cast(const Exec&, const CastOf<BFloat16, float>&);
template void cast(const Exec&, const CastOf<Half, BFloat16>&);
template void cast(const Exec&, const CastOf<BFloat16, Half>&);

}  // namespace verace::kernels::cuda
