// Planted bugs within a warp: missing __syncwarp, wrong masks, lanes that are not there.
#include "kernels/simt/reductions.h"
#include "tests/simt/planted_kernels.h"

namespace verace::test {
namespace {

__global__ void shuffle_in_branch_kernel(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) value += __shfl_xor_sync(kAllLanes, value, 8);
  y[threadIdx.x] = value;
}

__global__ void shuffle_from_outside_kernel(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) value += __shfl_down_sync(0xffffu, value, 8);
  y[threadIdx.x] = value;
}

__global__ void mask_without_caller_kernel(const float* x, float* y) {
  y[threadIdx.x] = __ballot_sync(0x7fffffffu, x[threadIdx.x] > 0.0f) != 0u ? 1.0f : 0.0f;
}

__global__ void returned_lane_kernel(const float* x, float* y) {
  if (threadIdx.x == 5) return;
  y[threadIdx.x] = __shfl_xor_sync(kAllLanes, x[threadIdx.x], 1);
}

__global__ void width_kernel(const float* x, float* y) {
  y[threadIdx.x] = __shfl_down_sync(kAllLanes, x[threadIdx.x], 1, 24);
}

__global__ void two_masks_kernel(const float* x, float* y) {
  const unsigned mask = threadIdx.x < 8 ? 0xffffu : kAllLanes;
  float value = x[threadIdx.x];
  if (threadIdx.x < 16 || threadIdx.x > 20) value = __shfl_sync(mask, value, 0);
  y[threadIdx.x] = value;
}

__global__ void two_warp_sums_kernel(const float* x, float* y) {
  if (threadIdx.x % 32 < 16) {
    y[threadIdx.x] = simt::warp_sum(x[threadIdx.x]);
  } else {
    y[threadIdx.x] = simt::warp_sum(x[threadIdx.x]);
  }
}

Outcome run_lanes(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(64);
  const DeviceBuffer<float> from(x), to(64);
  simt::launch(kernel, {1, 64, 0, nullptr}, from.data(), to.data());
  return {to.copy(), x};
}

constexpr PlantedCase kCases[] = {
    {"__syncwarp missing", [] { return run_swap(swap_neighbours_kernel<InStep::kNot>); }},
    {"a shuffle taken for __syncwarp",
     [] { return run_swap(swap_neighbours_kernel<InStep::kShuffle>); }},
    {"shuffle of all lanes in a branch", [] { return run_lanes(shuffle_in_branch_kernel); }},
    {"shuffle from a lane outside the mask", [] { return run_lanes(shuffle_from_outside_kernel); }},
    {"mask leaves out the caller", [] { return run_lanes(mask_without_caller_kernel); }},
    {"mask names a lane that has returned", [] { return run_lanes(returned_lane_kernel); }},
    {"shuffle width no power of two", [] { return run_lanes(width_kernel); }},
    {"lanes disagree about the mask", [] { return run_lanes(two_masks_kernel); }},
    {"shuffles of a helper called in two branches", [] { return run_lanes(two_warp_sums_kernel); }},
};

}  // namespace

std::span<const PlantedCase> planted_warp() { return kCases; }

}  // namespace verace::test
