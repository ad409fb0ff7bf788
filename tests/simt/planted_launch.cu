// Planted bugs of the host: launch shapes that no device takes, copies in the wrong direction.
#include "tests/simt/planted_kernels.h"

namespace verace::test {
namespace {

Outcome run_shape(dim3 grid, dim3 block, size_t dynamic_shared_bytes = 0) {
  const std::vector<float> x = numbers(4096);
  const DeviceBuffer<float> from(x), to(x);
  simt::launch(copy_kernel<0>, {grid, block, dynamic_shared_bytes, nullptr}, from.data(), to.data(),
               4096);
  return {to.copy(), x};
}

constexpr PlantedCase kCases[] = {
    {"2048 threads per block", [] { return run_shape(2, 2048); }},
    {"block of 65 layers", [] { return run_shape(2, dim3(1, 1, 65)); }},
    {"grid of no blocks", [] { return run_shape(0, 256); }},
    {"grid too high", [] { return run_shape(dim3(1, 65536), 32); }},
    {"64 KiB of dynamic shared memory, not allowed", [] { return run_shape(16, 256, 65536); }},
    {"copy in the wrong direction",
     [] {
       const std::vector<float> x = numbers(16);
       const DeviceBuffer<float> to(16);
       check_cuda(cudaMemcpy(to.data(), x.data(), to.bytes(), cudaMemcpyDeviceToHost),
                  "cudaMemcpy");
       return Outcome{to.copy(), x};
     }},
    {"copy past the end of a device buffer",
     [] {
       const std::vector<float> x = numbers(17);
       const DeviceBuffer<float> to(16);
       check_cuda(cudaMemcpy(to.data(), x.data(), 68, cudaMemcpyHostToDevice), "cudaMemcpy");
       return Outcome{to.copy(), to.copy()};
     }},
};

}  // namespace

std::span<const PlantedCase> planted_launch() { return kCases; }

}  // namespace verace::test
