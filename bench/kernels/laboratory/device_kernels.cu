// Copy, triad, overwriting and nothing, 16 bytes per access.
#include "bench/kernels/laboratory/device_kernels.h"

#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::laboratory {
namespace {

constexpr unsigned kThreads = 512;

__global__ void overwrite_kernel(uint4* p, size_t count) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const unsigned word = static_cast<unsigned>(i) * 2654435761u;
    p[i] = make_uint4(word, ~word, word ^ 0x5bd1e995u, word + 1u);
  }
}

__global__ void copy_kernel(const float4* x, float4* y, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) y[i] = x[i];
}

__global__ void triad_kernel(const float4* x, const float4* y, float4* z, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float4 a = x[i], b = y[i];
  z[i] = make_float4(a.x + 3.0f * b.x, a.y + 3.0f * b.y, a.z + 3.0f * b.z, a.w + 3.0f * b.w);
}

__global__ void empty_kernel() {}

unsigned blocks_of(size_t vectors) {
  return simt::blocks_for(static_cast<int64_t>(vectors), kThreads, 0x7fffffff);
}

}  // namespace

void overwrite(void* p, size_t bytes, CUstream_st* stream) {
  const size_t count = bytes / sizeof(uint4);
  simt::launch(overwrite_kernel,
               {simt::blocks_for(static_cast<int64_t>(count), kThreads), kThreads, 0, stream},
               static_cast<uint4*>(p), count);
}

void copy(const float* x, float* y, size_t count, CUstream_st* stream) {
  simt::launch(copy_kernel, {blocks_of(count / 4), kThreads, 0, stream},
               reinterpret_cast<const float4*>(x), reinterpret_cast<float4*>(y), count / 4);
}

void triad(const float* x, const float* y, float* z, size_t count, CUstream_st* stream) {
  simt::launch(triad_kernel, {blocks_of(count / 4), kThreads, 0, stream},
               reinterpret_cast<const float4*>(x), reinterpret_cast<const float4*>(y),
               reinterpret_cast<float4*>(z), count / 4);
}

void empty(CUstream_st* stream) { simt::launch(empty_kernel, {1, 32, 0, stream}); }

}  // namespace verace::laboratory
