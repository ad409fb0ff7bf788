// Correct kernels that look like the planted bugs: no detector may say a word.
#include "tests/simt/planted_kernels.h"

namespace verace::test {
namespace {

__global__ void narrow_neighbours_kernel(const float* x, __nv_bfloat16* y) {
  y[threadIdx.x] = __float2bfloat16_rn(x[threadIdx.x]);
}

__global__ void half_warp_kernel(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) value = __shfl_xor_sync(0xffffu, value, 8);
  y[threadIdx.x] = value;
}

// Whole warps without a row return; nobody waits for them.
__global__ void warp_returns_kernel(const float* x, float* y, int rows) {
  const int row = static_cast<int>(threadIdx.x / 32);
  if (row >= rows) return;
  float value = x[threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  y[threadIdx.x] = value;
}

__global__ void count_kernel(const float* x, int* counter, float* y) {
  if (x[threadIdx.x] > 0.0f) atomicAdd(counter, 1);
  y[threadIdx.x] = x[threadIdx.x];
}

__global__ void table_kernel(const float* x, float* y) {
  constexpr float kTable[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  float local[4];
  for (unsigned i = 0; i < 4; ++i) local[i] = x[threadIdx.x] * kTable[(threadIdx.x + i) % 4];
  y[threadIdx.x] = local[threadIdx.x % 4];
}

// What thread 0 has learnt by its atomic access, the barrier tells all threads of the last block.
__global__ void last_block_together_kernel(const float* x, float* parts, unsigned* ticket,
                                           float* y) {
  __shared__ float shared_parts[8];
  __shared__ bool is_last;
  const float sum = block_sum_of<true>(x[blockIdx.x * 256 + threadIdx.x], shared_parts);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sum;
    __threadfence();
    is_last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last) return;
  const float part = threadIdx.x < gridDim.x ? parts[threadIdx.x] : 0.0f;
  const float all = block_sum_of<true>(part, shared_parts);
  if (threadIdx.x == 0) y[0] = all;
}

// The same by __syncwarp, in blocks of one warp.
__global__ void last_warp_together_kernel(const float* x, float* parts, unsigned* ticket,
                                          float* y) {
  const unsigned i = blockIdx.x * 32 + threadIdx.x;
  parts[i] = x[i];
  __syncwarp();
  unsigned number = 0;
  if (threadIdx.x == 0) {
    __threadfence();
    number = atomicAdd(ticket, 1u);
  }
  number = __shfl_sync(kAllLanes, number, 0);
  __syncwarp();
  if (number != gridDim.x - 1) return;
  float sum = 0.0f;
  for (unsigned k = threadIdx.x; k < gridDim.x * 32; k += 32) sum += parts[k];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
  if (threadIdx.x == 0) y[0] = sum;
}

constexpr PlantedCase kCases[] = {
    {"ok: barrier between write and read", [] { return run_reverse(reverse_kernel<true>); }},
    {"ok: barrier between read and next write",
     [] { return run_deviation(deviation_kernel<true>); }},
    {"ok: barriers in a tree sum", [] { return run_tree_sum(tree_sum_kernel<true>); }},
    {"ok: __syncwarp", [] { return run_swap(swap_neighbours_kernel<InStep::kSyncwarp>); }},
    {"ok: last block with a fence", [] { return run_last_block(last_block_kernel<true>); }},
    {"ok: float4 with a tail", [] { return run_copy_fours(copy_fours_kernel<true>); }},
    {"ok: neighbouring halves of a word by two threads",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x);
       const DeviceBuffer<__nv_bfloat16> to(256);
       simt::launch(narrow_neighbours_kernel, {1, 256, 0, nullptr}, from.data(), to.data());
       std::vector<float> got, want;
       for (const __nv_bfloat16 v : to.copy()) got.push_back(__bfloat162float(v));
       for (const float v : x) want.push_back(__bfloat162float(__float2bfloat16_rn(v)));
       return Outcome{got, want};
     }},
    {"ok: shuffle of half a warp, with its mask",
     [] {
       const std::vector<float> x = numbers(64);
       std::vector<float> want = x;
       for (size_t i = 0; i < 64; ++i) want[i] = i % 32 < 16 ? x[i ^ 8] : x[i];
       const DeviceBuffer<float> from(x), to(64);
       simt::launch(half_warp_kernel, {1, 64, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), want};
     }},
    {"ok: whole warps return early",
     [] {
       const std::vector<float> x = numbers(128);
       const DeviceBuffer<float> from(x), to(x);
       simt::launch(warp_returns_kernel, {1, 128, 0, nullptr}, from.data(), to.data(), 3);
       std::vector<float> want = x;
       for (size_t row = 0; row < 3; ++row) {
         const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * 32);
         const float most = *std::max_element(first, first + 32);
         std::fill_n(want.begin() + static_cast<std::ptrdiff_t>(row * 32), 32, most);
       }
       return Outcome{to.copy(), want};
     }},
    {"ok: atomic counter",
     [] {
       const std::vector<float> x = numbers(64);
       const DeviceBuffer<float> from(x), to(64);
       const DeviceBuffer<int> counter(std::vector<int>{0});
       simt::launch(count_kernel, {1, 64, 0, nullptr}, from.data(), counter.data(), to.data());
       std::vector<float> got = to.copy(), want = x;
       got.push_back(static_cast<float>(counter.copy()[0]));
       want.push_back(64.0f);
       return Outcome{got, want};
     }},
    {"ok: constant table and local array",
     [] {
       const std::vector<float> x = numbers(64);
       const DeviceBuffer<float> from(x), to(64);
       simt::launch(table_kernel, {1, 64, 0, nullptr}, from.data(), to.data());
       std::vector<float> want(64);
       for (size_t i = 0; i < 64; ++i) want[i] = x[i] * static_cast<float>(2 * i % 4 + 1);
       return Outcome{to.copy(), want};
     }},
    {"ok: dynamic shared memory, 64 KiB, allowed",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       simt::allow_dynamic_shared(reverse_dynamic_kernel, 65536);
       simt::launch(reverse_dynamic_kernel, {1, 256, 1024, nullptr}, from.data(), to.data());
       simt::launch(reverse_dynamic_kernel, {1, 256, 65536, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), reversed(x)};
     }},
    {"ok: last block with a fence after __syncwarp",
     [] { return run_last_warp(last_warp_kernel<true>); }},
    {"ok: last block, all of whose threads read",
     [] { return run_last_block(last_block_together_kernel); }},
    {"ok: last warp, all of whose lanes read",
     [] { return run_last_warp(last_warp_together_kernel); }},
    {"ok: copy from a static array of the host",
     [] {
       static float x[64];
       for (size_t i = 0; i < 64; ++i) x[i] = static_cast<float>(i);
       const DeviceBuffer<float> from(64), to(64);
       check_cuda(cudaMemcpy(from.data(), x, sizeof x, cudaMemcpyHostToDevice), "cudaMemcpy");
       simt::launch(copy_kernel<0>, {1, 64, 0, nullptr}, from.data(), to.data(), 64);
       return Outcome{to.copy(), std::vector<float>(x, x + 64)};
     }},
    {"ok: managed memory that a kernel, or the host, has written",
     [] {
       const ByKernels by_kernels(true);
       const std::vector<float> x = numbers(256);
       Guarded<float> from(256), between(256), to(256);
       std::copy(x.begin(), x.end(), from.write().begin());
       return run_managed(from, between, to, 256);
     }},
};

}  // namespace

std::span<const PlantedCase> look_alikes() { return kCases; }

}  // namespace verace::test
