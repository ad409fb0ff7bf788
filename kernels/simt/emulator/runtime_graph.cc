// The runtime stand-in's graphs: a capture collects work instead of running it; a launch replays
// it.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/runtime.h"

using verace::simt::emulator::Capture;
using verace::simt::emulator::injected_fault;
using verace::simt::emulator::report;
using verace::simt::emulator::Runtime;

namespace verace::simt::emulator {
namespace {

// The order of capture; lazily always the latest of the nodes that need not wait, so that a
// dependency which nobody captured is seen.
std::vector<size_t> replay_order(const std::vector<Node>& nodes) {
  std::vector<size_t> order;
  std::vector<bool> done(nodes.size(), false);
  const auto is_ready = [&](size_t i) {
    const auto& after = nodes[i].after;
    return !done[i] &&
           std::all_of(after.begin(), after.end(), [&](size_t earlier) { return done[earlier]; });
  };
  while (order.size() < nodes.size()) {
    size_t next = options().lazy ? nodes.size() - 1 : order.size();
    while (!is_ready(next)) --next;  // the first that is not done never has to wait
    order.push_back(next);
    done[next] = true;
  }
  return order;
}

}  // namespace
}  // namespace verace::simt::emulator

using verace::simt::emulator::replay_order;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  SIMT_RUNTIME_CALL(runtime, "cudaStreamBeginCapture")
  // The default stream cannot be captured.
  if (stream == nullptr) return report(cudaErrorStreamCaptureUnsupported);
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  if (stream->capture) return report(cudaErrorIllegalState);
  stream->capture = std::make_shared<Capture>();
  stream->captured_last.clear();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  return cudaSuccess;
}

// Ends the capture even when it reports an error, as the device does.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = injected_fault("cudaStreamEndCapture");
  *graph = nullptr;
  if (stream == nullptr || !runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  if (!stream->capture) return report(cudaErrorIllegalState);
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->origin != stream) return report(cudaErrorStreamCaptureUnmatched);
  capture->ended = true;
  for (const auto& [handle, other] : runtime.streams) {
    if (other->capture == capture) other->capture.reset();
  }
  if (fault != cudaSuccess) return report(fault);
  if (capture->invalid) return report(cudaErrorStreamCaptureInvalidated);
  if (!capture->unjoined.empty()) return report(cudaErrorStreamCaptureUnjoined);
  *graph = runtime.graphs.create();
  (*graph)->nodes = capture->nodes;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  SIMT_RUNTIME_CALL(runtime, "cudaStreamIsCapturing")
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  const auto& capture = runtime.stream(stream).capture;
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  SIMT_RUNTIME_CALL(runtime, "cudaGraphGetNodes")
  if (!runtime.graphs.has(graph)) return report(cudaErrorInvalidValue);
  if (nodes != nullptr) return report(cudaErrorNotSupported);
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  SIMT_RUNTIME_CALL(runtime, "cudaGraphInstantiate")
  if (!runtime.graphs.has(graph)) return report(cudaErrorInvalidValue);
  *executable = runtime.executables.create();
  (*executable)->nodes = graph->nodes;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  SIMT_RUNTIME_CALL(runtime, "cudaGraphLaunch")
  if (!runtime.executables.has(executable)) return report(cudaErrorInvalidValue);
  if (!runtime.valid(stream)) return report(cudaErrorInvalidResourceHandle);
  for (const size_t i : replay_order(executable->nodes)) {
    const cudaError_t error = runtime.put(runtime.stream(stream), executable->nodes[i].run);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = injected_fault("cudaGraphDestroy");
  return report(runtime.graphs.destroy(graph) ? fault : cudaErrorInvalidValue);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  const cudaError_t fault = injected_fault("cudaGraphExecDestroy");
  return report(runtime.executables.destroy(executable) ? fault : cudaErrorInvalidValue);
}

}  // extern "C"
