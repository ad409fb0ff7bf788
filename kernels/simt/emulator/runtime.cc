// Streams of the runtime stand-in: when queued work runs, in which order, what a failing kernel
// leaves.
#include "kernels/simt/emulator/runtime.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "kernels/check.h"
#include "kernels/check_cuda.h"
#include "kernels/format.h"
#include "kernels/simt/emulator/core.h"
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/grid.h"
#include "kernels/simt/emulator/live_objects.h"
#include "kernels/simt/emulator/options.h"

namespace verace::simt::emulator {

Runtime& Runtime::get() {
  static Runtime runtime;
  return runtime;
}

cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) Runtime::get().last_error = error;
  return error;
}

CUstream_st& Runtime::stream(cudaStream_t handle) {
  static CUstream_st default_stream;
  return handle == nullptr ? default_stream : *handle;
}

// Work on the default stream comes after all earlier work of the blocking streams, and theirs after
// its.
std::vector<Point> Runtime::default_stream_order(const CUstream_st& stream) {
  std::vector<Point> points;
  const CUstream_st& default_stream = this->stream(nullptr);
  if (&stream != &default_stream) {
    if (stream.blocking) points.push_back({default_stream.queue, default_stream.queue->issued});
    return points;
  }
  for (const auto& [handle, other] : streams) {
    if (other->blocking) points.push_back({other->queue, other->queue->issued});
  }
  return points;
}

cudaError_t Runtime::put(CUstream_st& stream, std::function<void()> run, std::vector<Point> after) {
  if (stream.capture) {
    Capture& capture = *stream.capture;
    if (capture.invalid) return report(cudaErrorStreamCaptureInvalidated);
    std::vector<size_t> last{capture.nodes.size()};
    capture.nodes.push_back({std::move(run), std::exchange(stream.captured_last, std::move(last))});
    return cudaSuccess;
  }
  if (&stream == &this->stream(nullptr)) {
    // It would wait for every blocking stream, also for one that only records.
    for (const auto& [handle, other] : streams) {
      if (!other->blocking || !other->capture) continue;
      other->capture->invalid = true;
      return report(cudaErrorStreamCaptureImplicit);
    }
  }
  std::vector<Point> points = default_stream_order(stream);
  points.insert(points.end(), after.begin(), after.end());
  ++stream.queue->issued;
  stream.queue->waiting.push_back({std::move(run), std::move(points)});
  return options().lazy ? cudaSuccess : finish(stream);
}

void Runtime::run_until(Queue& queue, uint64_t count) {
  while (queue.done < count && !queue.waiting.empty()) {
    // First of all what it waits for: when that fails, the work itself stays.
    const std::vector<Point> after = queue.waiting.front().after;
    for (const Point& point : after) run_until(*point.queue, point.count);
    const Work work = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    ++queue.done;
    work.run();
  }
}

cudaError_t Runtime::finish(const Point& point) {
  if (!point.queue) return cudaSuccess;
  const std::shared_ptr<Queue> alive = point.queue;
  try {
    run_until(*alive, point.count);
  } catch (const std::exception& error) {
    // An error code cannot say why; enqueue() takes the text back when the caller is at hand.
    kernel_failure = error.what();
    return report(cudaErrorLaunchFailure);
  }
  return cudaSuccess;
}

cudaError_t Runtime::finish(CUstream_st& stream) {
  return finish(Point{stream.queue, stream.queue->issued});
}

cudaError_t Runtime::finish_all() {
  cudaError_t first = finish(stream(nullptr));
  for (const auto& [handle, stream] : streams) {
    const cudaError_t error = finish(*stream);
    if (first == cudaSuccess) first = error;
  }
  return first;
}

cudaError_t Runtime::refuse_during_capture() {
  for (const auto& [handle, stream] : streams) {
    if (!stream->capture || stream->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    stream->capture->invalid = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

namespace {

// Throws, so that no later call has to report the error, too: as launch.h does on a device.
[[noreturn]] void throw_launch_error(const Shape& shape, const std::string& why) {
  Runtime::get().last_error = cudaSuccess;
  throw Error(ErrorKind::kInternal,
              text::format("{}:{}: simt::launch: {}", shape.file, shape.line, why));
}

[[noreturn]] void throw_launch_error(const Shape& shape, cudaError_t error) {
  Runtime::get().last_error = cudaSuccess;
  kernels::check_cuda(error, "simt::launch", shape.file, shape.line);
  std::abort();  // not reached: `error` is one
}

}  // namespace

void enqueue(cudaStream_t stream, Launch&& launch) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const Shape shape = launch.shape;
  if (const cudaError_t fault = injected_fault("simt::launch", cudaErrorLaunchOutOfResources);
      fault != cudaSuccess) {
    throw_launch_error(shape, fault);
  }
  if (!runtime.valid(stream)) throw_launch_error(shape, "the stream does not exist");
  const auto allowed = runtime.allowed_dynamic_shared.find(launch.body.kernel);
  const bool asked = allowed != runtime.allowed_dynamic_shared.end();
  const std::string wrong = shape_error(shape, asked ? allowed->second : kDefaultDynamicShared);
  if (!wrong.empty()) throw_launch_error(shape, wrong);
  const cudaError_t status =
      runtime.put(runtime.stream(stream), [kept = std::move(launch)] { run_grid(kept); });
  if (status == cudaErrorLaunchFailure) {  // ran at once: the caller hears the reason itself
    runtime.last_error = cudaSuccess;
    throw Error(ErrorKind::kInternal, std::exchange(runtime.kernel_failure, {}));
  }
  if (status != cudaSuccess) throw_launch_error(shape, status);
}

LiveObjects live_objects() {
  const Runtime& runtime = Runtime::get();
  return {runtime.memory.count(), runtime.memory.in_use(), runtime.streams.size(),
          runtime.events.size(), runtime.graphs.size() + runtime.executables.size()};
}

std::string take_kernel_failure() { return std::exchange(Runtime::get().kernel_failure, {}); }

}  // namespace verace::simt::emulator
