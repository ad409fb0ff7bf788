// Small kernels for the tests of the emulator and of the runtime stand-in.
#include "tests/simt/emulator_kernels.h"

#include "kernels/simt/launch.h"
#include "tests/simt/planted_kernels.h"

namespace verace::test {
namespace {

__global__ void __launch_bounds__(256) block_sum_kernel(const float* x, float* y, int n) {
  __shared__ float parts[8];
  float sum = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 256) sum += x[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < 8; ++i) sum += parts[i];
    *y = sum;
  }
}

template <bool Shuffle>
__global__ void order_kernel(unsigned* tickets, unsigned* order) {
  if (Shuffle) __syncwarp();
  order[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(tickets, 1u);
}

__global__ void scale_kernel(const float* x, float* y, int n, float factor, float shift) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = factor * x[i] + shift;
}

__global__ void stop_kernel(float* x) {
  if (threadIdx.x < 32) {
    __syncthreads();
    x[threadIdx.x] = 1.0f;
  } else {
    __syncthreads();
  }
}

__global__ void stop_in_last_block_kernel(float* x) {
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x < 32) {
    __syncthreads();
    x[threadIdx.x] = 1.0f;
  } else {
    __syncthreads();
  }
}

// Collects {got, want} pairs.
class Results {
 public:
  __device__ explicit Results(float* pairs) : pairs_(pairs) {}
  __device__ void add(double got, double want) {
    pairs_[2 * count_] = static_cast<float>(got);
    pairs_[2 * count_ + 1] = static_cast<float>(want);
    ++count_;
  }
  __device__ int count() const { return count_; }

 private:
  float* pairs_;
  int count_ = 0;
};

__device__ void add_bits(Results& results) {
  results.add(__popc(0xf0f0u), 8);
  results.add(__popcll(0xffull << 40), 8);
  results.add(__clz(1), 31);
  results.add(__clz(0), 32);
  results.add(__clzll(1), 63);
  results.add(__ffs(8), 4);
  results.add(__ffs(0), 0);
  results.add(__brev(1u), 2147483648.0);
  results.add(__umulhi(0x80000000u, 6u), 3);
  results.add(__byte_perm(0x03020100u, 0x07060504u, 0x7531u), 0x07050301);
  results.add(__float_as_int(1.0f), 0x3f800000);
  results.add(__uint_as_float(0x40000000u), 2);
  results.add(__funnelshift_l(0x80000000u, 1u, 1u), 3);
  results.add(__funnelshift_r(0x80000000u, 1u, 31u), 3);
}

__device__ void add_numbers(Results& results) {
  results.add(__saturatef(2.5f), 1);
  results.add(__saturatef(-1.0f), 0);
  results.add(rsqrtf(4.0f), 0.5);
  results.add(__fmaf_rn(2.0f, 3.0f, 4.0f), 10);
  results.add(__fdividef(1.0f, 4.0f), 0.25);
  results.add(__expf(0.0f), 1);
  results.add(__logf(1.0f), 0);
  results.add(__powf(2.0f, 10.0f), 1024);
  results.add(__float2int_rn(2.5f), 2);
  results.add(__float2int_ru(2.1f), 3);
  results.add(__float2int_rd(-2.1f), -3);
  results.add(max(3, 5) + min(3.0f, 5.0f), 8);
  const float no_number = __uint_as_float(0x7fc00000u);
  results.add(max(no_number, 2.0f) + max(2.0f, no_number), 4);
  results.add(min(double{no_number}, 2.0) + min(2.0, double{no_number}), 4);
  results.add(__float2int_rn(3e9f), 2147483647);
  results.add(__float2int_rd(-3e9f), -2147483648.0);
  results.add(__float2int_rz(no_number), 0);
}

__device__ void add_halves(Results& results) {
  const __half h = __float2half(1.5f);
  const __nv_bfloat16 b = __float2bfloat16(1.5f);
  results.add(__half2float(__hfma(h, h, h)), 3.75);
  results.add(__bfloat162float(__hfma(b, b, b)), 3.75);
  results.add(__half2float(hsqrt(__float2half(2.25f))), 1.5);
  results.add(__bfloat162float(hexp(__float2bfloat16(0.0f))), 1);
  results.add(__half2float(hrcp(__float2half(4.0f))), 0.25);
  results.add(__half2float(hfloor(__float2half(-1.5f))), -2);
  results.add(__half2int_rn(__float2half(3.5f)), 4);
  results.add(__bfloat162int_ru(__float2bfloat16(3e9f)), 2147483647);
  results.add(__half2int_rd(__ushort_as_half(0x7e00)), 0);  // NaN
  const __half2 two = __hfma2(__half2(h, h), __half2(h, h), __half2(h, h));
  results.add(__half2float(two.y), 3.75);
  results.add(__bfloat162float(__ldg(&b)), 1.5);
  // fp16: 2049 is not representable; a fused operation rounds 2049 + 0.5 once, up.
  const __half one = __float2half(1.0f);
  results.add(__half2float(__hfma(one, __float2half(2048.0f), __float2half(1.0f))), 2048);
}

__device__ void add_warp(Results& results) {
  const int lane = static_cast<int>(threadIdx.x);
  results.add(__shfl_sync(kAllLanes, lane, 7), 7);
  results.add(__shfl_sync(kAllLanes, lane, 3, 8), (lane & ~7) | 3);
  results.add(__shfl_up_sync(kAllLanes, lane, 1u), lane == 0 ? 0 : lane - 1);
  results.add(__shfl_down_sync(kAllLanes, lane, 2u, 16), lane % 16 < 14 ? lane + 2 : lane);
  results.add(__shfl_xor_sync(kAllLanes, lane, 16), lane ^ 16);
  results.add(__half2float(__shfl_xor_sync(kAllLanes, __int2half_rn(lane), 1)), lane ^ 1);
  results.add(__ballot_sync(kAllLanes, lane < 4), 15);
  results.add(__any_sync(kAllLanes, lane == 31), 1);
  results.add(__all_sync(kAllLanes, lane < 31), 0);
  results.add(__reduce_add_sync(kAllLanes, lane), 496);
  results.add(__reduce_max_sync(kAllLanes, -lane), 0);
  results.add(__reduce_min_sync(kAllLanes, 100u + threadIdx.x), 100);
  results.add(__reduce_or_sync(kAllLanes, 1u << threadIdx.x % 4), 15);
  results.add(__syncthreads_count(lane % 2), 16);
  results.add(__syncthreads_and(lane < 32), 1);
  results.add(__syncthreads_or(lane > 40), 0);
}

__device__ void add_atomics(Results& results) {
  __shared__ int value;
  __shared__ unsigned wrapped;
  if (threadIdx.x == 0) {
    value = 40;
    wrapped = 2;
  }
  __syncthreads();
  atomicAdd(&value, 1);
  __syncthreads();
  results.add(value, 72);
  __syncthreads();
  atomicMax(&value, 100);
  atomicInc(&wrapped, 2u);  // 2 -> 0 -> 1 -> 2 ...
  __syncthreads();
  results.add(value, 100);
  results.add(wrapped, (2 + 32) % 3);
  __syncthreads();
  atomicCAS(&value, 100, 5);
  __syncthreads();
  results.add(value, 5);
}

__global__ void device_api_kernel(float* all, int* count) {
  Results results(all + threadIdx.x * 2 * kApiResults);
  add_bits(results);
  add_numbers(results);
  add_halves(results);
  add_warp(results);
  add_atomics(results);
  if (threadIdx.x == 0) *count = results.count();
}

}  // namespace

void block_sum(const float* x, float* y, int n, cudaStream_t stream) {
  simt::launch(block_sum_kernel, {1, 256, 0, stream}, x, y, n);
}

void run_order(unsigned* tickets, unsigned* order, unsigned blocks, unsigned threads) {
  simt::launch(order_kernel<false>, {blocks, threads, 0, nullptr}, tickets, order);
}

void run_order_after_shuffle(unsigned* tickets, unsigned* order, unsigned threads) {
  simt::launch(order_kernel<true>, {1, threads, 0, nullptr}, tickets, order);
}

void scale(const float* x, float* y, int n, float factor, float shift, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((n + 127) / 128);
  simt::launch(scale_kernel, {blocks, 128, 0, stream}, x, y, n, factor, shift);
}

void last_block_sum(const float* x, float* parts, unsigned* ticket, float* y, unsigned blocks) {
  simt::launch(last_block_kernel<true>, {blocks, 256, 0, nullptr}, x, parts, ticket, y);
}

void ask_for_too_much_dynamic_shared() {
  simt::allow_dynamic_shared(stop_in_last_block_kernel, size_t{1} << 20);
}

void stop_in_last_block(float* x, unsigned blocks) {
  simt::launch(stop_in_last_block_kernel, {blocks, 256, 0, nullptr}, x);
}

void stop(float* x, cudaStream_t stream) { simt::launch(stop_kernel, {1, 64, 0, stream}, x); }

int device_api(float* results) {
  void* memory = nullptr;
  if (cudaMallocManaged(&memory, sizeof(int), cudaMemAttachGlobal) != cudaSuccess) return -1;
  int* const count = static_cast<int*>(memory);
  simt::launch(device_api_kernel, {1, 32, 0, nullptr}, results, count);
  if (cudaDeviceSynchronize() != cudaSuccess) return -1;
  const int got = *count;
  cudaFree(memory);
  return got;
}

}  // namespace verace::test
