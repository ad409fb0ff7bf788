// Capturing and launching CUDA graphs.
#include "engine/graph_cuda.h"

#include <cuda_runtime_api.h>

#include "kernels/check_cuda.h"

namespace verace::engine::cuda {
namespace {

struct DestroyGraph {
  void operator()(CUgraph_st* graph) const noexcept { cudaGraphDestroy(graph); }
};
using CapturedGraph = std::unique_ptr<CUgraph_st, DestroyGraph>;

CapturedGraph end_capture(CUstream_st* stream, cudaError_t* error) {
  cudaGraph_t graph = nullptr;
  *error = cudaStreamEndCapture(stream, &graph);
  return CapturedGraph(graph);
}

}  // namespace

void Graph::Destroy::operator()(CUgraphExec_st* graph) const noexcept {
  cudaDeviceSynchronize();  // it may still run
  cudaGraphExecDestroy(graph);
}

Graph::Graph(CUstream_st* stream, const std::function<void()>& enqueue) {
  // What other threads do with CUDA is no part of it.
  VERACE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaError_t error = cudaSuccess;
  try {
    enqueue();
  } catch (...) {
    end_capture(stream, &error);
    cudaGetLastError();
    throw;
  }
  const CapturedGraph captured = end_capture(stream, &error);
  kernels::check_cuda(error, "cudaStreamEndCapture", __FILE__, __LINE__);
  cudaGraphExec_t executable = nullptr;
  VERACE_CUDA(cudaGraphInstantiate(&executable, captured.get(), 0));
  graph_.reset(executable);
}

void Graph::launch(CUstream_st* stream) const {
  VERACE_CUDA(cudaGraphLaunch(graph_.get(), stream));
}

}  // namespace verace::engine::cuda
