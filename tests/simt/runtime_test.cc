// The runtime stand-in: graphs equal to eager work, events, lazy streams, refusals, out of memory.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "kernels/simt/emulator/live_objects.h"
#include "kernels/simt/emulator/options.h"
#include "tests/simt/device_buffer.h"
#include "tests/simt/emulator_kernels.h"
#include "tests/simt/stream_objects.h"

namespace verace::test::runtime_test {
namespace emulator = simt::emulator;
namespace {

constexpr int kCount = 1000;

class Lazy {
 public:
  Lazy() { emulator::options().lazy = true; }

 private:
  emulator::KeptOptions kept_;
};

std::vector<float> ones() { return std::vector<float>(kCount, 1.0f); }

TEST_CASE("a captured graph replays to the same numbers as eager work") {
  const Stream stream;
  const DeviceBuffer<float> x(ones()), y(kCount), eager(ones());
  Capture capture(stream);
  scale(x.data(), y.data(), kCount, 2.0f, 0.25f, stream.get());
  check_cuda(cudaMemcpyAsync(x.data(), y.data(), x.bytes(), cudaMemcpyDeviceToDevice, stream.get()),
             "copy");
  const Graph graph(capture);
  CHECK(x.copy()[0] == 1.0f);  // nothing ran while capturing
  for (int i = 0; i < 3; ++i) graph.launch(stream);
  stream.wait();
  for (int i = 0; i < 3; ++i) {
    scale(eager.data(), eager.data(), kCount, 2.0f, 0.25f, stream.get());
  }
  CHECK(x.copy() == eager.copy());
  CHECK(x.copy()[0] == 9.75f);
}

TEST_CASE("a capture takes in a second stream by events, and it must come back") {
  const Stream first, second;
  const Event fork, join;
  const DeviceBuffer<float> x(ones()), y(ones());
  for (const bool joined : {true, false}) {
    check_cuda(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeGlobal), "begin");
    check_cuda(cudaEventRecord(fork.get(), first.get()), "record");
    check_cuda(cudaStreamWaitEvent(second.get(), fork.get(), 0), "wait");
    scale(y.data(), y.data(), kCount, 3.0f, 0.0f, second.get());
    scale(x.data(), x.data(), kCount, 2.0f, 0.0f, first.get());
    check_cuda(cudaEventRecord(join.get(), second.get()), "record");
    if (joined) check_cuda(cudaStreamWaitEvent(first.get(), join.get(), 0), "wait");
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(first.get(), &graph);
    CHECK(status == (joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined));
    CHECK((graph != nullptr) == joined);
    if (graph == nullptr) continue;
    size_t nodes = 0;
    CHECK(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
    CHECK(nodes == 2);
    cudaGraphDestroy(graph);
  }
  cudaGetLastError();
  CHECK(x.copy()[0] == 1.0f);
  CHECK(y.copy()[0] == 1.0f);
}

TEST_CASE("an event of another time does not belong to a capture") {
  const Stream stream, other;
  const Event inside, outside;
  const DeviceBuffer<float> x(ones());
  cudaGraph_t graph = nullptr;
  check_cuda(cudaEventRecord(outside.get(), other.get()), "record");
  check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "begin");
  CHECK(cudaStreamWaitEvent(stream.get(), outside.get(), 0) == cudaErrorStreamCaptureIsolation);
  CHECK(cudaStreamEndCapture(stream.get(), &graph) == cudaErrorStreamCaptureInvalidated);
  check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "begin");
  check_cuda(cudaEventRecord(inside.get(), stream.get()), "record");
  check_cuda(cudaStreamEndCapture(stream.get(), &graph), "end");
  cudaGraphDestroy(graph);
  CHECK(cudaStreamWaitEvent(other.get(), inside.get(), 0) == cudaErrorCapturedEvent);
  scale(x.data(), x.data(), kCount, 2.0f, 0.0f, other.get());  // no part of the dead capture
  other.wait();
  CHECK(x.copy()[0] == 2.0f);
  cudaGetLastError();
}

TEST_CASE("the default stream cannot wait for a blocking stream that captures") {
  const Stream apart;
  const DeviceBuffer<float> x(ones());
  cudaStream_t blocking = nullptr;
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamCreate(&blocking), "create");
  check_cuda(cudaStreamBeginCapture(apart.get(), cudaStreamCaptureModeThreadLocal), "begin");
  scale(x.data(), x.data(), kCount, 2.0f, 0.0f, nullptr);  // which waits for no such stream
  check_cuda(cudaStreamEndCapture(apart.get(), &graph), "end");
  cudaGraphDestroy(graph);
  check_cuda(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeThreadLocal), "begin");
  CHECK(cudaMemsetAsync(x.data(), 0, x.bytes(), nullptr) == cudaErrorStreamCaptureImplicit);
  CHECK(cudaStreamEndCapture(blocking, &graph) == cudaErrorStreamCaptureInvalidated);
  CHECK(x.copy()[0] == 2.0f);
  cudaStreamDestroy(blocking);
  cudaGetLastError();
}

TEST_CASE("waiting or allocating while a stream captures spoils the capture") {
  const Stream stream;
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "begin");
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 16) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream.get(), &graph) == cudaErrorStreamCaptureInvalidated);
  check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "begin");
  CHECK(cudaStreamSynchronize(stream.get()) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream.get(), &graph) == cudaErrorStreamCaptureInvalidated);
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) ==
        cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
}

TEST_CASE("the default stream may not be used while a blocking stream captures") {
  cudaStream_t blocking = nullptr;
  cudaGraph_t graph = nullptr;
  const DeviceBuffer<float> x(ones());
  check_cuda(cudaStreamCreate(&blocking), "create");
  check_cuda(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed), "begin");
  CHECK_THROWS_AS(scale(x.data(), x.data(), kCount, 2.0f, 0.0f, nullptr), const Error&);
  CHECK(cudaStreamEndCapture(blocking, &graph) == cudaErrorStreamCaptureInvalidated);
  check_cuda(cudaStreamDestroy(blocking), "destroy");
  cudaGetLastError();
}

TEST_CASE("events: recorded, asked, timed") {
  const Stream stream;
  const Event start, stop;
  float milliseconds = -1.0f;
  CHECK(cudaEventElapsedTime(&milliseconds, start.get(), stop.get()) ==
        cudaErrorInvalidResourceHandle);  // not recorded
  const DeviceBuffer<float> x(ones());
  check_cuda(cudaEventRecord(start.get(), stream.get()), "record");
  scale(x.data(), x.data(), kCount, 2.0f, 0.0f, stream.get());
  check_cuda(cudaEventRecord(stop.get(), stream.get()), "record");
  check_cuda(cudaEventSynchronize(stop.get()), "wait");
  check_cuda(cudaEventElapsedTime(&milliseconds, start.get(), stop.get()), "elapsed");
  CHECK(milliseconds >= 0.0f);
  cudaGetLastError();
}

TEST_CASE("a lazy stream does nothing until something waits for it") {
  const Lazy lazy;
  const Stream stream;
  const Event done;
  const DeviceBuffer<float> x(ones());
  Pinned<float> out(kCount);
  scale(x.data(), x.data(), kCount, 2.0f, 0.0f, stream.get());
  check_cuda(cudaMemcpyAsync(out.data(), x.data(), x.bytes(), cudaMemcpyDeviceToHost, stream.get()),
             "copy");
  check_cuda(cudaEventRecord(done.get(), stream.get()), "record");
  CHECK(cudaEventQuery(done.get()) == cudaErrorNotReady);
  CHECK(cudaStreamQuery(stream.get()) == cudaErrorNotReady);
  CHECK(std::isnan(out.data()[0]));  // read too early
  check_cuda(cudaEventSynchronize(done.get()), "wait");
  CHECK(out.data()[0] == 2.0f);
  CHECK(cudaEventQuery(done.get()) == cudaSuccess);
}

TEST_CASE("lazy: a forgotten wait between two streams shows") {
  const Lazy lazy;
  emulator::options().check_uninitialised = false;  // the copy that comes too early
  for (const bool waits : {true, false}) {
    const Stream producer, consumer;
    const Event done;
    const DeviceBuffer<float> x(ones()), y(kCount);
    Pinned<float> out(kCount);
    scale(x.data(), y.data(), kCount, 2.0f, 0.0f, producer.get());
    check_cuda(cudaEventRecord(done.get(), producer.get()), "record");
    if (waits) check_cuda(cudaStreamWaitEvent(consumer.get(), done.get(), 0), "wait");
    check_cuda(
        cudaMemcpyAsync(out.data(), y.data(), y.bytes(), cudaMemcpyDeviceToHost, consumer.get()),
        "copy");
    check_cuda(cudaStreamSynchronize(consumer.get()), "wait");
    CHECK(std::isnan(out.data()[5]) == !waits);
    if (waits) CHECK(out.data()[5] == 2.0f);
  }
}

TEST_CASE("lazy: independent branches of a graph are replayed latest first") {
  const Lazy lazy;
  for (const bool waits : {true, false}) {
    const Stream first, second;
    const Event fork, done, join;
    const DeviceBuffer<float> x(ones());
    Capture capture(first);
    check_cuda(cudaEventRecord(fork.get(), first.get()), "record");
    check_cuda(cudaStreamWaitEvent(second.get(), fork.get(), 0), "wait");
    scale(x.data(), x.data(), kCount, 2.0f, 0.0f, first.get());
    check_cuda(cudaEventRecord(done.get(), first.get()), "record");
    if (waits) check_cuda(cudaStreamWaitEvent(second.get(), done.get(), 0), "wait");
    scale(x.data(), x.data(), kCount, 1.0f, 1.0f, second.get());
    check_cuda(cudaEventRecord(join.get(), second.get()), "record");
    check_cuda(cudaStreamWaitEvent(first.get(), join.get(), 0), "wait");
    scale(x.data(), x.data(), kCount, 10.0f, 0.0f, first.get());
    const Graph graph(capture);
    graph.launch(first);
    first.wait();
    CHECK(x.copy()[0] == (waits ? 30.0f : 40.0f));
  }
}

TEST_CASE("lazy: work that waits for work that fails is not lost") {
  const Lazy lazy;
  cudaStream_t blocking = nullptr;
  check_cuda(cudaStreamCreate(&blocking), "create");
  {
    const DeviceBuffer<float> x(ones()), y(ones());
    stop(y.data(), blocking);
    scale(x.data(), x.data(), kCount, 2.0f, 0.0f, nullptr);
    CHECK(cudaStreamSynchronize(nullptr) == cudaErrorLaunchFailure);
    CHECK(cudaStreamSynchronize(nullptr) == cudaSuccess);
    CHECK(cudaStreamQuery(nullptr) == cudaSuccess);
    CHECK(x.copy()[0] == 2.0f);
  }
  cudaStreamDestroy(blocking);
  emulator::take_kernel_failure();
  cudaGetLastError();
}

TEST_CASE("lazy: the default stream is in order with blocking streams") {
  const Lazy lazy;
  cudaStream_t blocking = nullptr;
  check_cuda(cudaStreamCreate(&blocking), "create");
  {
    const DeviceBuffer<float> x(ones());
    scale(x.data(), x.data(), kCount, 2.0f, 0.0f, blocking);
    scale(x.data(), x.data(), kCount, 1.0f, 1.0f, nullptr);
    scale(x.data(), x.data(), kCount, 10.0f, 0.0f, blocking);
    check_cuda(cudaStreamSynchronize(blocking), "wait");
    CHECK(x.copy()[0] == 30.0f);
  }
  cudaStreamDestroy(blocking);
}

TEST_CASE("lazy: pageable memory is read before the copy returns, pinned memory later") {
  const Lazy lazy;
  const Stream stream;
  std::vector<float> pageable(kCount, 1.0f);
  Pinned<float> pinned(kCount);
  std::fill_n(pinned.data(), kCount, 1.0f);
  const DeviceBuffer<float> x(kCount), y(kCount);
  const size_t bytes = x.bytes();
  const cudaMemcpyKind up = cudaMemcpyHostToDevice;
  check_cuda(cudaMemcpyAsync(x.data(), pageable.data(), bytes, up, stream.get()), "copy");
  check_cuda(cudaMemcpyAsync(y.data(), pinned.data(), bytes, up, stream.get()), "copy");
  pageable[0] = pinned.data()[0] = 7.0f;
  stream.wait();
  CHECK(x.copy()[0] == 1.0f);
  CHECK(y.copy()[0] == 7.0f);
}

TEST_CASE("lazy: a kernel that is stopped later is an error of the call that waits") {
  const Lazy lazy;
  const Stream stream;
  const DeviceBuffer<float> x(ones());
  stop(x.data(), stream.get());
  CHECK(cudaStreamSynchronize(stream.get()) == cudaErrorLaunchFailure);
  const std::string why = cudaGetErrorString(cudaErrorLaunchFailure);
  CHECK(why.find("divergent barrier") != std::string::npos);
  CHECK(emulator::take_kernel_failure().find("emulator_kernels.cu") != std::string::npos);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
}

TEST_CASE("copies in the wrong direction, past the end, to freed memory are refused") {
  std::vector<float> host = ones();
  const DeviceBuffer<float> x(ones());
  float* const p = x.data();
  const size_t bytes = x.bytes();
  CHECK(cudaMemcpy(p, host.data(), bytes, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), p, bytes, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(p, host.data(), bytes, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(p + 1, host.data(), bytes, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemset(p + 1, 0, bytes) == cudaErrorInvalidValue);
  CHECK(cudaMemset(host.data(), 0, bytes) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(p, host.data(), bytes, cudaMemcpyDefault) == cudaSuccess);
  CHECK(cudaMemcpy(p + 1, host.data(), bytes, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), p + 1, bytes, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(cudaFree(p + 1) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(p) == cudaErrorInvalidValue);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

TEST_CASE("memory has a limit") {
  const size_t before = emulator::options().memory_limit;
  emulator::options().memory_limit = emulator::live_objects().bytes + 1000;
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 1001) == cudaErrorMemoryAllocation);
  CHECK(cudaGetErrorString(cudaGetLastError()) == std::string("out of memory"));
  CHECK(cudaMalloc(&memory, 1000) == cudaSuccess);
  size_t free_bytes = 1, total = 0;
  CHECK(cudaMemGetInfo(&free_bytes, &total) == cudaSuccess);
  CHECK(free_bytes == 0);
  CHECK(cudaFree(memory) == cudaSuccess);
  emulator::options().memory_limit = before;
}

TEST_CASE("stream-ordered allocation, managed memory, attributes") {
  const Stream stream;
  void* memory = nullptr;
  check_cuda(cudaMallocAsync(&memory, 64, stream.get()), "allocate");
  check_cuda(cudaMemsetAsync(memory, 0, 64, stream.get()), "fill");
  check_cuda(cudaFreeAsync(memory, stream.get()), "free");
  stream.wait();
  check_cuda(cudaMallocManaged(&memory, 4 * kCount, cudaMemAttachGlobal), "allocate");
  float* const x = static_cast<float*>(memory);
  std::fill_n(x, kCount, 1.0f);
  scale(x, x, kCount, 2.0f, 0.0f, stream.get());
  stream.wait();
  CHECK(x[kCount - 1] == 2.0f);
  cudaPointerAttributes attributes{};
  check_cuda(cudaPointerGetAttributes(&attributes, x + 3), "attributes");
  CHECK(attributes.type == cudaMemoryTypeManaged);
  cudaFree(memory);
}

TEST_CASE("a refused launch leaves no error for the next call") {
  const DeviceBuffer<unsigned> tickets(1), order(2048);
  CHECK_THROWS_AS(run_order(tickets.data(), order.data(), 1, 2048), const Error&);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK_THROWS_AS(ask_for_too_much_dynamic_shared(), const Error&);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("dead handles are errors") {
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create");
  check_cuda(cudaStreamDestroy(stream), "destroy");
  const DeviceBuffer<float> x(ones());
  CHECK(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  CHECK_THROWS_AS(scale(x.data(), x.data(), kCount, 1.0f, 0.0f, stream), const Error&);
  for (int i = 0; i < 20; ++i) {  // no later stream takes the dead one's place
    const Stream later;
    CHECK(later.get() != stream);
  }
  cudaGetLastError();
}

TEST_CASE("the device describes itself as emulated, of capability 9.0") {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, 0), "properties");
  CHECK(std::string(properties.name).rfind("CPU emulation", 0) == 0);
  CHECK(properties.major == 9);
  int value = 0;
  check_cuda(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 0), "attribute");
  CHECK(value == 32);
  CHECK(cudaGetDeviceProperties(&properties, 1) == cudaErrorInvalidDevice);
  cudaGetLastError();
}

}  // namespace
}  // namespace verace::test::runtime_test
