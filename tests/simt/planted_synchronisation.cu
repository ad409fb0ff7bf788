// Planted bugs between threads of a block and between blocks: barriers, order, races.
#include "kernels/simt/reductions.h"
#include "tests/simt/planted_kernels.h"

namespace verace::test {
namespace {

__global__ void overlap_kernel(const float* x, float* y) {  // block b writes [200 b, 200 b + 256)
  y[blockIdx.x * 200 + threadIdx.x] = x[blockIdx.x * 200 + threadIdx.x];
}

__global__ void two_barriers_kernel(const float* x, float* y) {
  __shared__ float tile[256];
  tile[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x < 100) {
    __syncthreads();
    y[threadIdx.x] = tile[255 - threadIdx.x];
  } else {
    y[threadIdx.x] = 0.0f;
    __syncthreads();
    y[threadIdx.x] = tile[255 - threadIdx.x];
  }
}

__global__ void two_sums_kernel(const float* x, float* y) {
  __shared__ float parts[8];
  if (threadIdx.x < 128) {
    y[threadIdx.x] = simt::block_sum<256>(x[threadIdx.x], parts);
  } else {
    y[threadIdx.x] = simt::block_sum<256>(x[threadIdx.x], parts);
  }
}

__global__ void early_return_kernel(const float* x, float* y, int n) {
  __shared__ float tile[256];
  if (static_cast<int>(threadIdx.x) >= n) return;
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[(threadIdx.x + 1) % static_cast<unsigned>(n)];
}

__global__ void unequal_trips_kernel(const float* x, float* y) {
  __shared__ float tile[256];
  tile[threadIdx.x] = x[threadIdx.x];
  const int trips = threadIdx.x < 64 ? 3 : 2;
  for (int i = 0; i < trips; ++i) {
    __syncthreads();
    const float next = tile[(threadIdx.x + 1) & 255];
    __syncthreads();
    tile[threadIdx.x] = next;
  }
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void atomic_float_sum_kernel(const float* x, float* y) {
  atomicAdd(y, x[blockIdx.x * 256 + threadIdx.x]);
}

// The last warp waits for a shuffle that its other lanes do not come to; the rest is at the
// barrier.
__global__ void shuffle_against_barrier_kernel(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (threadIdx.x >= 48) value = __shfl_xor_sync(kAllLanes, value, 1);
  __syncthreads();
  y[threadIdx.x] = value;
}

__global__ void mixed_barriers_kernel(const float* x, float* y) {
  const bool positive = x[threadIdx.x] > 0.0f;
  // clang-format off
  const int count = threadIdx.x % 2 == 0 ? __syncthreads_count(positive) : __syncthreads_or(positive);
  // clang-format on
  y[threadIdx.x] = static_cast<float>(count);
}

__global__ void count_kernel(const float* x, int* counter, float* y) {
  if (x[threadIdx.x] > 0.0f) *counter += 1;  // not atomic
  y[threadIdx.x] = x[threadIdx.x];
}

// The ticket is taken before the part is handed in; what the fence covers is published elsewhere.
__global__ void early_ticket_kernel(const float* x, float* parts, unsigned* ticket, float* y) {
  __shared__ float shared_parts[8];
  const float sum = block_sum_of<true>(x[blockIdx.x * 256 + threadIdx.x], shared_parts);
  if (threadIdx.x != 0) return;
  const bool is_last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  parts[blockIdx.x] = sum;
  __threadfence();
  atomicAdd(ticket + 1 + blockIdx.x, 1u);
  if (!is_last) return;
  y[0] = 0.0f;
  for (unsigned i = 0; i < gridDim.x; ++i) y[0] += parts[i];
}

Outcome run_pair(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), to(256);
  simt::launch(kernel, {1, 256, 0, nullptr}, from.data(), to.data());
  return {to.copy(), reversed(x)};
}

constexpr PlantedCase kCases[] = {
    {"barrier missing between write and read", [] { return run_reverse(reverse_kernel<false>); }},
    {"barrier missing between read and next write",
     [] { return run_deviation(deviation_kernel<false>); }},
    {"barrier missing in a tree sum", [] { return run_tree_sum(tree_sum_kernel<false>); }},
    {"blocks write the same elements",
     [] {
       const std::vector<float> x = numbers(856);
       const DeviceBuffer<float> from(x), to(856);
       simt::launch(overlap_kernel, {4, 256, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), x};
     }},
    {"barriers at different lines", [] { return run_pair(two_barriers_kernel); }},
    {"early return before a barrier",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(x);
       simt::launch(early_return_kernel, {1, 256, 0, nullptr}, from.data(), to.data(), 200);
       return Outcome{to.copy(), x};
     }},
    {"barrier in a loop of unequal length", [] { return run_pair(unequal_trips_kernel); }},
    {"last block without a fence", [] { return run_last_block(last_block_kernel<false>); }},
    {"float atomics: the sum depends on the order",
     [] {
       const std::vector<float> x = numbers(2048);
       const DeviceBuffer<float> from(x), to(std::vector<float>{0.0f});
       simt::launch(atomic_float_sum_kernel, {8, 256, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), to.copy()};
     }},
    {"shuffle in one warp, barrier in the others",
     [] {
       const std::vector<float> x = numbers(96);
       const DeviceBuffer<float> from(x), to(96);
       simt::launch(shuffle_against_barrier_kernel, {1, 96, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), x};
     }},
    {"two kinds of barrier in one", [] { return run_pair(mixed_barriers_kernel); }},
    {"counter without atomics",
     [] {
       const std::vector<float> x = numbers(64);
       const DeviceBuffer<float> from(x), to(64);
       const DeviceBuffer<int> counter(std::vector<int>{0});
       simt::launch(count_kernel, {1, 64, 0, nullptr}, from.data(), counter.data(), to.data());
       return Outcome{to.copy(), x};
     }},
    {"last block with a fence for one lane of many",
     [] { return run_last_warp(last_warp_kernel<false>); }},
    {"last block by a ticket taken too early", [] { return run_last_block(early_ticket_kernel); }},
    {"barriers of a helper called in two branches",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       simt::launch(two_sums_kernel, {1, 256, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), std::vector<float>(256, sum_of(x))};
     }},
};

}  // namespace

std::span<const PlantedCase> planted_synchronisation() { return kCases; }

}  // namespace verace::test
