// Work of a CUDA stream, captured once and launched as a whole.
//
// A step of this network is hundreds of launches, each of which costs the host a few microseconds;
// a graph is one (CUDA C++ Programming Guide, "CUDA Graphs").
#pragma once

#include <functional>
#include <memory>

struct CUgraphExec_st;
struct CUstream_st;

namespace verace::engine::cuda {

class Graph {
 public:
  // Captures what `enqueue` puts on the stream, which is not the default stream; nothing of it
  // runs. What enqueue() throws is thrown on. It may neither wait nor allocate memory of the
  // device, and what it reads of the host is read now, not when the graph is launched.
  Graph(CUstream_st* stream, const std::function<void()>& enqueue);
  // Enqueues all of it.
  void launch(CUstream_st* stream) const;

 private:
  struct Destroy {
    void operator()(CUgraphExec_st* graph) const noexcept;
  };
  std::unique_ptr<CUgraphExec_st, Destroy> graph_;
};

}  // namespace verace::engine::cuda
