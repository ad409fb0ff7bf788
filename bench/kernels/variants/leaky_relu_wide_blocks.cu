// An example of a variant: the leaky ReLU in fp16 with 1024 threads per block instead of 256.
#include "bench/kernels/laboratory/variants.h"
#include "kernels/activation.h"
#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels {

template <int kWidth>
__global__ void wide_leaky_relu(size_t count, const Half* x, float slope, Half* y) {
  simt::for_each_vector<kWidth>(count, [&](auto width, size_t i) {
    float v[decltype(width)::value];
    simt::load(x + i, v);
    for (float& element : v) element = leaky_relu(element, slope);
    simt::store(y + i, v);
  });
}

static void wide_blocks(const Exec& exec, const LeakyReluForwardOf<Half>& a) {
  const auto kernel = simt::is_vector_aligned(a.x, a.y) ? wide_leaky_relu<8> : wide_leaky_relu<1>;
  simt::launch(kernel, {simt::blocks_for(a.count, 8 * 1024), 1024, 0, exec.stream},
               static_cast<size_t>(a.count), a.x, a.slope, a.y);
}

static const laboratory::Register<LeakyReluForwardOf<Half>> registered("wide blocks", wide_blocks);

}  // namespace verace::kernels
