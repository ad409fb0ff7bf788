// Depthwise convolution on CUDA: a thread per output pixel and four channels.
#include "kernels/depthwise_conv.h"

#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kWidth = 4;  // channels of a thread

// DepthwiseConv in 32 bits.
struct Geometry {
  int h, w, p, q, stride;
  unsigned packs;  // of a pixel
  size_t c;
};

// Block x is an output row of the pictures, the threads along y are its pixels' packs.
template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    depthwise_kernel(Geometry g, const float* __restrict__ x, const float* __restrict__ weights,
                     const float* __restrict__ bias, float slope, float* __restrict__ y) {
  const unsigned item = blockIdx.y * kThreads + threadIdx.x;
  const int column = static_cast<int>(item / g.packs);
  if (column >= g.q) return;
  const size_t channel = static_cast<size_t>(item % g.packs) * kWidth;
  const int valid = simt::valid_of<kWidth>(channel, g.c);
  const unsigned rows = static_cast<unsigned>(g.p);
  const size_t image = blockIdx.x / rows;
  const int top = static_cast<int>(blockIdx.x % rows) * g.stride - 1, left = column * g.stride - 1;
  float sum[kWidth];
  simt::load_some<kVectors>(bias + channel, valid, sum);
#pragma unroll
  for (int r = 0; r < 3; ++r) {
#pragma unroll
    for (int s = 0; s < 3; ++s) {
      const int h = top + r, w = left + s;
      if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
      float value[kWidth], weight[kWidth];
      const size_t pixel = (image * g.h + h) * g.w + w;
      simt::load_some<kVectors>(x + pixel * g.c + channel, valid, value);
      simt::load_some<kVectors>(weights + (r * 3 + s) * g.c + channel, valid, weight);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) sum[k] += value[k] * weight[k];
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) sum[k] = leaky_relu(sum[k], slope);
  const size_t pixel = static_cast<size_t>(blockIdx.x) * g.q + column;
  simt::store_some<kVectors>(y + pixel * g.c + channel, valid, sum);
}

int narrow(int64_t size) {
  VERACE_CHECK(size >= 0 && size <= 0x3fffffff, "too large for the depthwise kernel");
  return static_cast<int>(size);
}

}  // namespace

void depthwise_conv(const Exec& exec, const DepthwiseConv& a) {
  validate(a);
  const int64_t packs = (a.shape.c + kWidth - 1) / kWidth;
  const Geometry g{narrow(a.shape.h),
                   narrow(a.shape.w),
                   narrow(a.p()),
                   narrow(a.q()),
                   narrow(a.stride),
                   static_cast<unsigned>(narrow(packs)),
                   static_cast<size_t>(a.shape.c)};
  const int64_t tiles = (a.q() * packs + kThreads - 1) / kThreads;
  VERACE_CHECK(tiles <= 65535, "too many channels or columns for the depthwise kernel");
  const dim3 grid(static_cast<unsigned>(narrow(a.shape.n * a.p())), static_cast<unsigned>(tiles));
  const bool vectors = a.shape.c % kWidth == 0 && simt::is_vector_aligned(a.x, a.w, a.bias, a.y);
  simt::launch(vectors ? depthwise_kernel<true> : depthwise_kernel<false>,
               {grid, kThreads, 0, exec.stream}, g, a.x, a.w, a.bias, a.slope, a.y);
}

}  // namespace verace::kernels::cuda
