// What a thread, a barrier, a shuffle and an element cost on the emulator, in nanoseconds; not a
// test.
//
//   cmake --build --preset emulated --target simt_speed && build/emulated/tests/simt/simt_speed
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "kernels/simt/emulator/options.h"
#include "kernels/simt/launch.h"
#include "tests/simt/device_buffer.h"

namespace verace::test {
namespace {

__global__ void one_element_kernel(const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = 2.0f * x[i];
}

__global__ void barriers_kernel(int rounds) {
  for (int i = 0; i < rounds; ++i) __syncthreads();
}

__global__ void shuffles_kernel(int rounds, float* y) {
  float value = static_cast<float>(threadIdx.x);
  for (int i = 0; i < rounds; ++i) value = __shfl_xor_sync(0xffffffffu, value, 1);
  y[threadIdx.x] = value;
}

// The median over 11 runs of processor seconds / count, in nanoseconds: other programs do not
// count.
template <class Run>
double nanoseconds(double count, Run run) {
  std::vector<double> seconds;
  for (int i = 0; i < 11; ++i) {
    const std::clock_t start = std::clock();
    run();
    seconds.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  std::sort(seconds.begin(), seconds.end());
  return 1e9 * seconds[5] / count;
}

}  // namespace
}  // namespace verace::test

int main() {
  using namespace verace::test;
  namespace simt = verace::simt;
  simt::emulator::options().os_threads = 1;
  std::printf("build %s, one OS thread, median of 11\n", simt::emulator::build_kind());
  const DeviceBuffer<float> x(std::vector<float>(256 * 256, 1.0f)), y(256 * 256);
  std::printf("thread without barrier  %7.1f ns\n", nanoseconds(256 * 256, [&] {
                simt::launch(one_element_kernel, {256, 256, 0, nullptr}, x.data(), y.data());
              }));
  for (const unsigned threads : {64u, 256u, 1024u}) {
    const int rounds = 200;
    const double count = double{rounds} * threads;
    const double barrier = nanoseconds(count, [&] {
      simt::launch(barriers_kernel, {1, threads, 0, nullptr}, rounds);
    });
    const double shuffle = nanoseconds(count, [&] {
      simt::launch(shuffles_kernel, {1, threads, 0, nullptr}, rounds, y.data());
    });
    std::printf("block of %4u: barrier %7.1f ns, shuffle %7.1f ns per thread\n", threads, barrier,
                shuffle);
  }
  return 0;
}
