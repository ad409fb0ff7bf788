// Planted bugs in memory: past the end, misaligned, not initialised, not the device's, freed,
// guarded.
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/vector_access.h"
#include "tests/simt/planted_kernels.h"
#include "tests/simt/stream_objects.h"

namespace verace::test {
namespace {

__global__ void shared_index_kernel(const float* x, float* y, int shift) {
  __shared__ float tile[256];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[static_cast<int>(threadIdx.x) + shift];
}

__device__ float element(const float* p, int i) { return p[i]; }

__global__ void shared_pointer_kernel(const float* x, float* y, int shift) {
  __shared__ float tile[256];
  float* const p = tile;
  p[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = element(p, static_cast<int>(threadIdx.x) + shift);
}

// Both arrays have been written, and a barrier stands before the overrun.
__global__ void shared_overrun_kernel(const float* x, float* y, int shift) {
  __shared__ float first[64];
  __shared__ float second[64];
  float* const p = first;
  if (threadIdx.x < 64) first[threadIdx.x] = second[threadIdx.x] = 0.0f;
  __syncthreads();
  if (threadIdx.x == 63) p[63 + shift] = first[0] + second[0];
  __syncthreads();
  y[threadIdx.x] = x[threadIdx.x] + first[threadIdx.x % 64] + second[threadIdx.x % 64];
}

__global__ void misaligned_kernel(const float* x, float* y) {
  reinterpret_cast<float4*>(y)[threadIdx.x] = reinterpret_cast<const float4*>(x + 1)[threadIdx.x];
}

// Eight numbers of fp16 from an address that is a multiple of 4 only.
__global__ void misaligned_vector_kernel(const float* x, float* y) {
  float values[8];
  simt::load<8>(reinterpret_cast<const simt::Half*>(x + 1), values);
  for (int k = 0; k < 8; ++k) y[k] = values[k];
}

__global__ void shared_accumulator_kernel(const float* x, float* y) {
  __shared__ float sums[32];
  atomicAdd(&sums[threadIdx.x], x[threadIdx.x]);
  __syncthreads();
  y[threadIdx.x] = sums[threadIdx.x];
}

__global__ void accumulate_kernel(const float* x, float* y) { y[threadIdx.x] += x[threadIdx.x]; }

// The index of the last thread passes 2^31: undefined, so not found by looking at the address.
__global__ void index_overflow_kernel(const float* x, float* y, int stride) {
  const int index = static_cast<int>(threadIdx.x + 1) * stride;
  y[threadIdx.x] = x[index > 0 ? 1 : 0];
}

// Writes its own copy of what it wrote to a local array, one element further.
__global__ void local_array_kernel(const float* x, float* y, int count) {
  float local[4];
  for (int i = 0; i < count; ++i) local[i] = x[threadIdx.x + static_cast<unsigned>(i)];
  float sum = 0.0f;
  for (int i = 0; i < 4; ++i) sum += local[i];
  y[threadIdx.x] = sum;
}

float table_of_host[256];

Outcome run_with_output(float* y) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x);
  simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, from.data(), y, 256);
  return Outcome{std::vector<float>(y, y + 256), x};
}

Outcome run_shift(void (*kernel)(const float*, float*, int), int shift) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), to(256);
  simt::launch(kernel, {1, 256, 0, nullptr}, from.data(), to.data(), shift);
  std::vector<float> got = to.copy(), want = x;
  if (shift > 0) {
    want.erase(want.begin());
    got.pop_back();
  } else {
    want.pop_back();
    got.erase(got.begin());
  }
  return {got, want};
}

Outcome run_lanes(void (*kernel)(const float*, float*)) {
  const std::vector<float> x = numbers(32);
  const DeviceBuffer<float> from(x), to(32);
  simt::launch(kernel, {1, 32, 0, nullptr}, from.data(), to.data());
  return {to.copy(), x};
}

// A buffer of 200 numbers with 56 more behind it that nobody may touch.
Outcome run_guarded(int n) {
  const std::vector<float> x = numbers(256);
  const DeviceBuffer<float> from(x), to(x);
  simt::emulator::forbid(from.data() + 200, 56 * sizeof(float));
  const struct Allow {
    const float* p;
    ~Allow() { simt::emulator::allow(p, 56 * sizeof(float)); }
  } allow{from.data() + 200};
  simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, from.data(), to.data(), n);
  return {to.copy(), x};
}

constexpr PlantedCase kCases[] = {
    {"global read one past the end",
     [] {
       const std::vector<float> x = numbers(700);
       const DeviceBuffer<float> from(x), to(700);
       simt::launch(copy_kernel<1>, {3, 256, 0, nullptr}, from.data(), to.data(), 700);
       return Outcome{to.copy(), x};
     }},
    {"global read before the beginning",
     [] {
       const std::vector<float> x = numbers(100);
       const DeviceBuffer<float> from(x), to(100);
       simt::launch(copy_kernel<-1>, {1, 128, 0, nullptr}, from.data(), to.data(), 100);
       return Outcome{to.copy(), x};
     }},
    {"float4 store past the end", [] { return run_copy_fours(copy_fours_kernel<false>); }},
    {"shared array index past the end", [] { return run_shift(shared_index_kernel, 1); }},
    {"shared array index past the end, by pointer",
     [] { return run_shift(shared_pointer_kernel, 1); }},
    {"shared array overrun into the next", [] { return run_shift(shared_overrun_kernel, 1); }},
    {"dynamic shared memory too small",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       simt::launch(reverse_dynamic_kernel, {1, 256, 1000, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), reversed(x)};
     }},
    {"dynamic shared memory not asked for",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       simt::launch(reverse_dynamic_kernel, {1, 256, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), reversed(x)};
     }},
    {"misaligned float4 load",
     [] {
       const std::vector<float> x = numbers(129);
       const DeviceBuffer<float> from(x), to(128);
       simt::launch(misaligned_kernel, {1, 32, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), std::vector<float>(x.begin() + 1, x.end())};
     }},
    {"misaligned vector load of fp16",
     [] {
       const std::vector<float> x(6, 0.0f);
       const DeviceBuffer<float> from(x), to(8);
       simt::launch(misaligned_vector_kernel, {1, 1, 0, nullptr}, from.data(), to.data());
       return Outcome{to.copy(), std::vector<float>(8, 0.0f)};
     }},
    {"shared accumulator not initialised", [] { return run_lanes(shared_accumulator_kernel); }},
    {"global accumulator not initialised", [] { return run_lanes(accumulate_kernel); }},
    {"output partly not written",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, from.data(), to.data(), 255);
       return Outcome{to.copy(), x};
     }},
    {"output partly not written, copied to pinned memory",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> from(x), to(256);
       const Pinned<float> out(256);
       simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, from.data(), to.data(), 255);
       check_cuda(cudaMemcpy(out.data(), to.data(), to.bytes(), cudaMemcpyDeviceToHost),
                  "cudaMemcpy");
       return Outcome{std::vector<float>(out.data(), out.data() + 256), x};
     }},
    {"managed memory without contents read",
     [] {
       const ByKernels by_kernels(true);
       const Guarded<float> from(256);
       Guarded<float> between(256), to(256);
       return run_managed(from, between, to, 256);
     }},
    {"managed output partly not written",
     [] {
       const ByKernels by_kernels(true);
       const Guarded<float> from(numbers(256));
       Guarded<float> between(256), to(256);
       return run_managed(from, between, to, 255);
     }},
    {"host pointer given to a kernel",
     [] {
       const std::vector<float> x = numbers(256);
       const DeviceBuffer<float> to(256);
       simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, x.data(), to.data(), 256);
       return Outcome{to.copy(), x};
     }},
    {"static data of the host given to a kernel", [] { return run_with_output(table_of_host); }},
    {"static data of a function given to a kernel",
     [] {
       static float y[256];
       return run_with_output(y);
     }},
    {"device buffer used after cudaFree",
     [] {
       const std::vector<float> x = numbers(256);
       const float* freed = nullptr;
       {
         const DeviceBuffer<float> gone(x);
         freed = gone.data();
       }
       const DeviceBuffer<float> to(256);
       simt::launch(copy_kernel<0>, {1, 256, 0, nullptr}, freed, to.data(), 256);
       return Outcome{to.copy(), x};
     }},
    {"int overflow in an index",
     [] {
       const DeviceBuffer<float> from(numbers(2)), to(64);
       simt::launch(index_overflow_kernel, {1, 64, 0, nullptr}, from.data(), to.data(), 1 << 27);
       return Outcome{to.copy(), to.copy()};
     }},
    {"local array overrun",
     [] {
       const std::vector<float> x = numbers(64);
       const DeviceBuffer<float> from(x), to(32);
       simt::launch(local_array_kernel, {1, 32, 0, nullptr}, from.data(), to.data(), 5);
       return Outcome{to.copy(), to.copy()};
     }},
    {"read of a guard", [] { return run_guarded(201); }},
};

}  // namespace

std::span<const PlantedCase> planted_memory() { return kCases; }

}  // namespace verace::test
