// The runtime stand-in's streams and events.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/runtime.h"

namespace verace::simt::emulator {
namespace {

std::atomic<double> passed{0.0};  // milliseconds that pass_time() has added

double milliseconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count() + passed;
}

cudaError_t create_stream(const char* name, cudaStream_t* stream, unsigned flags) {
  SIMT_RUNTIME_CALL(runtime, name)
  if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) {
    return report(cudaErrorInvalidValue);
  }
  *stream = runtime.streams.create();
  (*stream)->blocking = flags == cudaStreamDefault;
  return cudaSuccess;
}

cudaError_t create_event(const char* name, cudaEvent_t* event, unsigned flags) {
  SIMT_RUNTIME_CALL(runtime, name)
  *event = runtime.events.create();
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

// Waiting for an event of a capture takes the stream into that capture; when the capture's origin
// waits, the stream that recorded the event has been joined.
cudaError_t wait_inside_capture(CUstream_st& stream, cudaStream_t handle, const CUevent_st& event) {
  if (event.capture->ended) {
    if (stream.capture) stream.capture->invalid = true;
    return report(cudaErrorCapturedEvent);
  }
  if (stream.capture && stream.capture != event.capture) {
    stream.capture->invalid = true;
    return report(cudaErrorStreamCaptureIsolation);
  }
  if (!stream.capture) stream.captured_last.clear();  // of an earlier capture
  stream.capture = event.capture;
  stream.captured_last.insert(stream.captured_last.end(), event.captured_last.begin(),
                              event.captured_last.end());
  auto& unjoined = event.capture->unjoined;
  if (&stream == event.capture->origin) {
    std::erase(unjoined, event.captured_on);
  } else if (std::find(unjoined.begin(), unjoined.end(), handle) == unjoined.end()) {
    unjoined.push_back(handle);
  }
  return cudaSuccess;
}

}  // namespace

void pass_time(double milliseconds) { passed += milliseconds; }

}  // namespace verace::simt::emulator

using verace::simt::emulator::report;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return verace::simt::emulator::create_stream("cudaStreamCreate", stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return verace::simt::emulator::create_stream("cudaStreamCreateWithFlags", stream, flags);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return verace::simt::emulator::create_stream("cudaStreamCreateWithPriority", stream, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  auto& runtime = verace::simt::emulator::Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = verace::simt::emulator::injected_fault("cudaStreamDestroy");
  if (!runtime.streams.has(stream)) return report(cudaErrorInvalidResourceHandle);
  const cudaError_t error = runtime.finish(*stream);
  runtime.streams.destroy(stream);
  return report(fault != cudaSuccess ? fault : error);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaStreamSynchronize")
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  auto& waited = runtime.stream(stream);
  if (waited.capture) {
    waited.capture->invalid = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  return runtime.finish(waited);
}
// Of queries the runtime remembers "not ready" like an error.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaStreamQuery")
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  const auto& queue = *runtime.stream(stream).queue;
  return queue.done == queue.issued ? cudaSuccess : report(cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  SIMT_RUNTIME_CALL(runtime, "cudaStreamWaitEvent")
  if (!runtime.valid(stream) || !runtime.events.has(event)) {
    return report(cudaErrorInvalidResourceHandle);
  }
  auto& waiting = runtime.stream(stream);
  if (event->capture) {
    return verace::simt::emulator::wait_inside_capture(waiting, stream, *event);
  }
  if (!event->recorded) return cudaSuccess;
  if (waiting.capture) {  // for work that is no part of the graph
    waiting.capture->invalid = true;
    return report(cudaErrorStreamCaptureIsolation);
  }
  return runtime.put(waiting, [] {}, {event->point});
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  SIMT_RUNTIME_CALL(runtime, "cudaLaunchHostFunc")
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  return runtime.put(runtime.stream(stream), [function, data] { function(data); });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return verace::simt::emulator::create_event("cudaEventCreate", event, cudaEventDefault);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return verace::simt::emulator::create_event("cudaEventCreateWithFlags", event, flags);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  auto& runtime = verace::simt::emulator::Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = verace::simt::emulator::injected_fault("cudaEventDestroy");
  if (!runtime.events.destroy(event)) return report(cudaErrorInvalidResourceHandle);
  return report(fault);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaEventRecord")
  if (!runtime.valid(stream) || !runtime.events.has(event)) {
    return report(cudaErrorInvalidResourceHandle);
  }
  auto& recording = runtime.stream(stream);
  event->capture = recording.capture;
  event->captured_on = stream;
  event->captured_last = recording.captured_last;
  if (recording.capture) return cudaSuccess;
  event->recorded = true;
  event->point = {recording.queue, recording.queue->issued + 1};
  return runtime.put(recording, [time = event->milliseconds] {
    *time = verace::simt::emulator::milliseconds_now();
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMT_RUNTIME_CALL(runtime, "cudaEventSynchronize")
  if (!runtime.events.has(event)) return report(cudaErrorInvalidResourceHandle);
  if (event->capture) return report(cudaErrorCapturedEvent);
  return runtime.finish(event->point);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  SIMT_RUNTIME_CALL(runtime, "cudaEventQuery")
  if (!runtime.events.has(event)) return report(cudaErrorInvalidResourceHandle);
  if (event->capture) return report(cudaErrorCapturedEvent);
  const auto& point = event->point;
  return !point.queue || point.queue->done >= point.count ? cudaSuccess : report(cudaErrorNotReady);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  SIMT_RUNTIME_CALL(runtime, "cudaEventElapsedTime")
  for (const auto* event : {start, stop}) {
    if (!runtime.events.has(event) || !event->recorded || !event->timed) {
      return report(cudaErrorInvalidResourceHandle);
    }
    if (event->point.queue->done < event->point.count) return cudaErrorNotReady;
  }
  *milliseconds = static_cast<float>(*stop->milliseconds - *start->milliseconds);
  return cudaSuccess;
}

}  // extern "C"
