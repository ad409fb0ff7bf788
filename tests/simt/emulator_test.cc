// The emulator: schedules, errors, counters.
#include <doctest/doctest.h>

#include <vector>

#include "kernels/simt/emulator/options.h"
#include "tests/simt/emulator_kernels.h"

namespace verace::test {
namespace emulator = simt::emulator;

TEST_CASE("a correct kernel gives the same bits under every schedule") {
  for (const auto& schedule : emulator::schedules()) {
    emulator::use_schedule(schedule);
    float *x, *y;
    REQUIRE(cudaMalloc(reinterpret_cast<void**>(&x), 4000) == cudaSuccess);
    REQUIRE(cudaMalloc(reinterpret_cast<void**>(&y), 4) == cudaSuccess);
    std::vector<float> host(1000, 0.5f);
    REQUIRE(cudaMemcpy(x, host.data(), 4000, cudaMemcpyHostToDevice) == cudaSuccess);
    block_sum(x, y, 1000);
    float sum = 0;
    REQUIRE(cudaMemcpy(&sum, y, 4, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(sum == 500.0f);
    cudaFree(x);
    cudaFree(y);
  }
}

}  // namespace verace::test
