// Streams and events by CUDA's runtime.
#include <cuda_runtime_api.h>

#include <utility>

#include "engine/stream.h"
#include "kernels/check_cuda.h"

namespace verace::engine {
namespace {

// The answer of a query: done, or not yet.
bool is_done(cudaError_t status, const char* call, const char* file, int line) {
  if (status != cudaErrorNotReady) {
    kernels::check_cuda(status, call, file, line);
    return true;
  }
  cudaGetLastError();  // no error, but remembered like one
  return false;
}

}  // namespace

Stream::Stream() { VERACE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }

// What a destructor hears of a failure can only be that of work that somebody has waited for.
Stream::~Stream() {
  if (stream_ != nullptr && cudaStreamDestroy(stream_) != cudaSuccess) cudaGetLastError();
}

Stream::Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  Stream taken(std::move(other));
  std::swap(stream_, taken.stream_);  // the former one ends with `taken`
  return *this;
}

void Stream::synchronize() const { VERACE_CUDA(cudaStreamSynchronize(stream_)); }

bool Stream::is_idle() const {
  return is_done(cudaStreamQuery(stream_), "cudaStreamQuery(stream_)", __FILE__, __LINE__);
}

void Stream::wait(const Event& event) const { event.hold_back(stream_); }

Event::Event(Timing timing) {
  const unsigned flags = timing == Timing::kTimed ? cudaEventDefault : cudaEventDisableTiming;
  VERACE_CUDA(cudaEventCreateWithFlags(&event_, flags));
}

Event::~Event() {
  if (event_ != nullptr && cudaEventDestroy(event_) != cudaSuccess) cudaGetLastError();
}

Event::Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}

Event& Event::operator=(Event&& other) noexcept {
  Event taken(std::move(other));
  std::swap(event_, taken.event_);  // the former one ends with `taken`
  return *this;
}

void Event::record(CUstream_st* stream) { VERACE_CUDA(cudaEventRecord(event_, stream)); }

void Event::hold_back(CUstream_st* stream) const {
  VERACE_CUDA(cudaStreamWaitEvent(stream, event_, 0));
}

void Event::synchronize() const { VERACE_CUDA(cudaEventSynchronize(event_)); }

bool Event::is_reached() const {
  return is_done(cudaEventQuery(event_), "cudaEventQuery(event_)", __FILE__, __LINE__);
}

float Event::milliseconds_since(const Event& start) const {
  float milliseconds = 0;
  VERACE_CUDA(cudaEventElapsedTime(&milliseconds, start.event_, event_));
  return milliseconds;
}

}  // namespace verace::engine
