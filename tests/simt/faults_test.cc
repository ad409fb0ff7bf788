// The fault injector: a small pipeline in which every n-th runtime call fails, for all n, neither
// leaks nor hangs, and its error says which call it was.
#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <vector>

#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/live_objects.h"
#include "kernels/simt/emulator/options.h"
#include "tests/simt/device_buffer.h"
#include "tests/simt/emulator_kernels.h"
#include "tests/simt/stream_objects.h"

namespace verace::test::faults_test {
namespace emulator = simt::emulator;
namespace {

constexpr int kCount = 300;

// Upload, a captured step replayed twice on one stream, a sum on another that waits, download.
float pipeline() {
  const Stream stream, other;
  const Event done;
  const DeviceBuffer<float> x(std::vector<float>(kCount, 1.0f)), sum(1);
  Pinned<float> out(1);
  Capture capture(stream);
  scale(x.data(), x.data(), kCount, 2.0f, 1.0f, stream.get());
  const Graph graph(capture);
  graph.launch(stream);
  graph.launch(stream);
  check_cuda(cudaEventRecord(done.get(), stream.get()), "cudaEventRecord");
  check_cuda(cudaStreamWaitEvent(other.get(), done.get(), 0), "cudaStreamWaitEvent");
  block_sum(x.data(), sum.data(), kCount, other.get());
  check_cuda(cudaMemcpyAsync(out.data(), sum.data(), 4, cudaMemcpyDeviceToHost, other.get()),
             "cudaMemcpyAsync");
  other.wait();
  return out.data()[0];
}

bool nothing_left() {
  const emulator::LiveObjects left = emulator::live_objects();
  return left.allocations == 0 && left.bytes == 0 && left.streams == 0 && left.events == 0 &&
         left.graphs == 0;
}

std::string listed(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += name + " ";
  return all;
}

// The first failed call whose error somebody throws: the owners of what a call releases cannot.
std::string first_heard(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const bool releases =
        name.find("Free") != std::string::npos || name.find("Destroy") != std::string::npos;
    if (!releases) return name;
  }
  return "a call that does not only release something";
}

void fail_each_call() {
  uint64_t n = 1;
  int failed = 0, released = 0;
  for (;; ++n) {
    emulator::fail_every(n);
    std::string message;
    float sum = 0.0f;
    try {
      sum = pipeline();
    } catch (const std::exception& error) {
      message = error.what();
    }
    const emulator::Faults faults = emulator::faults();
    emulator::fail_every(0);
    cudaGetLastError();
    INFO("every ", n, "-th of ", faults.calls, " calls; failed: ", listed(faults.names), "; ",
         message);
    CHECK(nothing_left());
    if (faults.injected == 0) {
      CHECK(sum == kCount * 7.0f);
      break;
    }
    if (message.empty()) {  // only calls that release something failed: their owners cannot throw
      ++released;
      CHECK(sum == kCount * 7.0f);
    } else {
      ++failed;
      CHECK(message.find(first_heard(faults.names)) != std::string::npos);
    }
  }
  CHECK(n > 25);
  CHECK(failed > 15);
  CHECK(released > 0);
}

TEST_CASE("every n-th runtime call fails, for all n: no leak, no hang, a named error") {
  REQUIRE(nothing_left());
  fail_each_call();
}

TEST_CASE("the same with lazy streams") {
  const emulator::KeptOptions kept;
  emulator::options().lazy = true;
  fail_each_call();
}

}  // namespace
}  // namespace verace::test::faults_test
