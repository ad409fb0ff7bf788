// Streams and events: order, what owns what, and what each failing call says.
#include "engine/stream.h"

#include <doctest/doctest.h>

#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/exec.h"
#include "tests/support/devices.h"

#if VERACE_HAVE_CUDA
#include <cuda_runtime_api.h>

#include "kernels/check_cuda.h"
#endif
#if VERACE_EMULATED
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/live_objects.h"
#include "kernels/simt/emulator/options.h"
#endif

namespace verace::engine::stream_test {
namespace {

TEST_CASE("only what can be moved owns a stream or an event") {
  CHECK_FALSE(std::is_copy_constructible_v<Stream>);
  CHECK_FALSE(std::is_copy_assignable_v<Stream>);
  CHECK_FALSE(std::is_copy_constructible_v<Event>);
  CHECK_FALSE(std::is_copy_assignable_v<Event>);
  CHECK(std::is_nothrow_move_constructible_v<Stream>);
  CHECK(std::is_nothrow_move_assignable_v<Event>);
}

#if VERACE_HAVE_CUDA

bool present() {
  test::note_skipped_devices();
  return test::cuda_is_present();
}

// Memory that both sides reach: work on it is enqueued by cudaMemsetAsync.
struct Bytes {
  static constexpr size_t kCount = 1 << 12;
  test::SharedBytes owned = test::allocate_shared(kCount);
  void set(int value, CUstream_st* stream) const {
    VERACE_CUDA(cudaMemsetAsync(owned.get(), value, kCount, stream));
  }
  void copy_to(const Bytes& other, CUstream_st* stream) const {
    VERACE_CUDA(
        cudaMemcpyAsync(other.owned.get(), owned.get(), kCount, cudaMemcpyDeviceToDevice, stream));
  }
  int last() const { return static_cast<int>(owned.get()[kCount - 1]); }
};

// x = 1 on one stream, y = x on another that waits for it (or does not).
int handed_over(bool waits) {
  const Stream first, second;
  const Bytes x, y;
  x.set(7, nullptr);
  y.set(9, nullptr);
  VERACE_CUDA(cudaDeviceSynchronize());
  Event done;
  x.set(1, first.get());
  done.record(first);
  if (waits) second.wait(done);
  x.copy_to(y, second.get());
  second.synchronize();
  const int value = y.last();
  first.synchronize();
  return value;
}

TEST_CASE("a stream waits for another's event") {
  if (!present()) return;
  CHECK(handed_over(true) == 1);
}

TEST_CASE("a moved stream or event stays usable, and an assigned one lets go of the former") {
  if (!present()) return;
  Stream stream;
  CUstream_st* const handle = stream.get();
  Stream moved = std::move(stream);
  CHECK(moved.get() == handle);
  CHECK(stream.get() == nullptr);
  stream = Stream();
  CHECK(stream.get() != nullptr);
  stream = std::move(moved);
  CHECK(stream.get() == handle);
  CHECK(moved.get() == nullptr);
  Event event;
  Event taken = std::move(event);
  CHECK(event.get() == nullptr);
  CHECK(taken.is_reached());  // never recorded
  taken.record(stream);
  stream.synchronize();
  CHECK(taken.is_reached());
  CHECK(stream.is_idle());
  taken.record(nullptr);
  taken.synchronize();
  CHECK(taken.is_reached());
}

TEST_CASE("time between two events") {
  if (!present()) return;
  const Stream stream;
  Event start(Event::Timing::kTimed), stop(Event::Timing::kTimed);
  const Bytes bytes;
  start.record(stream);
  for (int i = 0; i < 20; ++i) bytes.set(i, stream.get());
  stop.record(stream);
  stop.synchronize();
  CHECK(stop.milliseconds_since(start) >= 0.0f);
  CHECK(stop.milliseconds_since(start) < 10000.0f);
  Event untimed;
  untimed.record(stream);
  untimed.synchronize();
  CHECK_THROWS_AS(untimed.milliseconds_since(start), Error);
}

TEST_CASE("which errors take the device with them, and what is advised") {
  using kernels::cuda_error_text;
  using kernels::device_is_lost;
  for (const cudaError_t lost :
       {cudaErrorECCUncorrectable, cudaErrorLaunchFailure, cudaErrorIllegalAddress,
        cudaErrorLaunchTimeout, cudaErrorNvlinkUncorrectable}) {
    CHECK(device_is_lost(lost));
    CHECK(cuda_error_text(lost).find("the device is lost") != std::string::npos);
  }
  for (const cudaError_t mistake :
       {cudaErrorInvalidValue, cudaErrorNotReady, cudaErrorInvalidResourceHandle}) {
    CHECK_FALSE(device_is_lost(mistake));
    CHECK(cuda_error_text(mistake).find("lost") == std::string::npos);
  }
  for (const cudaError_t passing : {cudaErrorMemoryAllocation, cudaErrorDevicesUnavailable}) {
    CHECK_FALSE(device_is_lost(passing));
    CHECK(cuda_error_text(passing).find("): ") != std::string::npos);
  }
  CHECK(cuda_error_text(cudaErrorInvalidValue) == "invalid argument (cudaErrorInvalidValue)");
}

#endif
#if VERACE_EMULATED

namespace emulator = simt::emulator;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kDevice);
    return error.what();
  }
  return "no error";
}

TEST_CASE("what is assigned to lets go of what it had at once") {
  Stream stream;
  Event event;
  const emulator::LiveObjects before = emulator::live_objects();
  stream = Stream();
  event = Event();
  CHECK(emulator::live_objects().streams == before.streams);
  CHECK(emulator::live_objects().events == before.events);
}

TEST_CASE("without the wait, lazy streams show the wrong order") {
  const emulator::KeptOptions kept;
  emulator::options().lazy = true;
  CHECK(handed_over(true) == 1);
  CHECK(handed_over(false) == 7);
}

TEST_CASE("idle and reached mean done, not enqueued") {
  const emulator::KeptOptions kept;
  emulator::options().lazy = true;
  const Stream stream;
  const Bytes bytes;
  Event event;
  bytes.set(3, stream.get());
  event.record(stream);
  CHECK_FALSE(stream.is_idle());
  CHECK_FALSE(event.is_reached());
  CHECK(cudaPeekAtLastError() == cudaSuccess);  // "not yet" leaves no error for the next launch
  event.synchronize();
  CHECK(event.is_reached());
  CHECK(bytes.last() == 3);
  stream.synchronize();
  CHECK(stream.is_idle());
}

TEST_CASE("the computation's stream does not wait for the default stream") {
  const emulator::KeptOptions kept;
  emulator::options().lazy = true;
  const Stream stream;
  const Bytes bytes, other;
  bytes.set(0, stream.get());
  stream.synchronize();
  bytes.set(5, nullptr);
  other.set(1, stream.get());
  stream.synchronize();
  CHECK(other.last() == 1);
  CHECK(bytes.last() == 0);
  VERACE_CUDA(cudaDeviceSynchronize());
  CHECK(bytes.last() == 5);
}

TEST_CASE("each call that fails is named, with CUDA's words, and nothing is left behind") {
  const size_t streams = emulator::live_objects().streams;
  struct Case {
    const char* call;
    std::function<void()> action;
  };
  const std::vector<Case> cases = {{"cudaStreamCreateWithFlags", [] { Stream(); }},
                                   {"cudaEventCreateWithFlags", [] { Event(); }},
                                   {"cudaStreamSynchronize", [] { Stream().synchronize(); }},
                                   {"cudaStreamQuery", [] { (void)Stream().is_idle(); }},
                                   {"cudaStreamWaitEvent", [] { Stream().wait(Event()); }},
                                   {"cudaEventRecord", [] { Event().record(Stream()); }},
                                   {"cudaEventSynchronize", [] { Event().synchronize(); }},
                                   {"cudaEventQuery", [] { (void)Event().is_reached(); }}};
  for (const Case& c : cases) {
    emulator::fail_next(c.call, cudaErrorLaunchFailure);
    const std::string message = error_of(c.action);
    INFO(message);
    CHECK(message.find("stream_cuda.cc:") != std::string::npos);
    CHECK(message.find(std::string(c.call) + "(") != std::string::npos);
    CHECK(message.find("unspecified launch failure (cudaErrorLaunchFailure)") != std::string::npos);
    CHECK(message.find("the device is lost to this process") != std::string::npos);
    CHECK(cudaPeekAtLastError() == cudaSuccess);
    CHECK(emulator::live_objects().streams == streams);
    CHECK(emulator::live_objects().events == 0);
  }
  for (const char* call : {"cudaStreamDestroy", "cudaEventDestroy"}) {  // nobody can throw there
    emulator::fail_next(call, cudaErrorLaunchFailure);
    {
      const Stream stream;
      Event().record(stream);
    }
    CHECK(cudaPeekAtLastError() == cudaSuccess);
    CHECK(emulator::live_objects().streams == streams);
    CHECK(emulator::live_objects().events == 0);
  }
  emulator::fail_next("", cudaSuccess);
}

#endif

}  // namespace
}  // namespace verace::engine::stream_test
