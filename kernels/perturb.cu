// The attack's pixel operations on CUDA devices: the CPU's formulas, to the bit.
#include "kernels/check.h"
#include "kernels/perturb.h"
#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;

// epsilon * sign is exact, so a multiply-add in one instruction rounds as the CPU does. No
// __restrict__: adversarial may be x or gradient.
template <int kWidth>
__global__ void __launch_bounds__(kElementThreads)
    fgsm_kernel(size_t count, const float* x, const float* gradient, float epsilon, float low,
                float high, float* adversarial) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    constexpr int kCount = decltype(width)::value;
    float pixel[kCount], g[kCount];
    simt::load(x + i, pixel);
    simt::load(gradient + i, g);
#pragma unroll
    for (int k = 0; k < kCount; ++k) pixel[k] = fgsm_pixel(pixel[k], g[k], epsilon, low, high);
    simt::store(adversarial + i, pixel);
  });
}

template <int kWidth>
__global__ void __launch_bounds__(kElementThreads)
    round_to_eight_bits_kernel(size_t count, const float* x, float* y) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    float v[decltype(width)::value];
    simt::load(x + i, v);
#pragma unroll
    for (float& element : v) element = round_to_level(element);
    simt::store(y + i, v);
  });
}

}  // namespace

void fgsm_step(const Exec& exec, const FgsmStep& a) {
  VERACE_CHECK(a.count >= 0 && a.epsilon >= 0.0f && a.low <= a.high);
  if (a.count == 0) return;
  const auto kernel =
      simt::is_vector_aligned(a.x, a.gradient, a.adversarial) ? fgsm_kernel<4> : fgsm_kernel<1>;
  simt::launch(kernel, simt::element_wise<4>(a.count, exec.stream), static_cast<size_t>(a.count),
               a.x, a.gradient, a.epsilon, a.low, a.high, a.adversarial);
}

void round_to_eight_bits(const Exec& exec, const RoundToEightBits& a) {
  VERACE_CHECK(a.count >= 0);
  if (a.count == 0) return;
  const auto kernel = simt::is_vector_aligned(a.x, a.y) ? round_to_eight_bits_kernel<4>
                                                        : round_to_eight_bits_kernel<1>;
  simt::launch(kernel, simt::element_wise<4>(a.count, exec.stream), static_cast<size_t>(a.count),
               a.x, a.y);
}

}  // namespace verace::kernels::cuda
