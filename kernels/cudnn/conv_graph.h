// Convolutions as cuDNN graphs: what is asked for, and the plan that cuDNN makes of it.
//
// cuDNN 9 takes a graph of operations on described tensors, proposes engines (kernels) for it and
// builds an execution plan. Everything but the run works from the description of a device alone, so
// the plans are checked where there is no GPU (docs/cudnn.md). Arithmetic: sums are fp32; fp32
// operands are rounded to TF32 only with `tf32`. Only engines that give the same bits in every run
// are taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernels/cudnn/conv_spec.h"

struct cudnnContext;  // cudnnHandle_t is a pointer to it

namespace verace::kernels::cudnn {

// The tensors of a graph, by the number that cuDNN knows them under. A gradient takes the place of
// what it is the gradient of: backward data reads kY (dy) and kW and writes kX (dx).
enum class ConvTensor : int64_t { kX = 1, kW = 2, kY = 3, kBias = 4, kAdd = 5 };

struct ConvBinding {
  ConvTensor tensor;
  void* data;  // device memory; those that are read are not written
};

// The device that plans are made for.
class Target {
 public:
  // A device by its description, the text that cuDNN writes of one: needs no GPU. Throws
  // Error(kInput) where cuDNN is missing or does not understand the description.
  static Target described(const std::string& json);
  // The GPU of a cuDNN handle.
  static Target of(cudnnContext* handle);

  struct Description;
  const Description* description() const { return description_.get(); }
  cudnnContext* handle() const { return handle_; }

 private:
  std::shared_ptr<const Description> description_;
  cudnnContext* handle_ = nullptr;
};

class ConvGraph {
 public:
  // Describes the convolution to cuDNN and checks it there. Throws Error(kInput) where cuDNN is
  // missing, Error(kInternal) where it refuses the graph.
  ConvGraph(const Target& target, const ConvSpec& spec);
  ~ConvGraph();
  ConvGraph(ConvGraph&&) noexcept;
  ConvGraph& operator=(ConvGraph&&) noexcept;

  // The graph as cuDNN was told, in JSON: operations, tensors, dimensions, strides.
  std::string json() const;

  // Asks the heuristics for engines and takes the first that suits; they stand in cuDNN's order.
  // Precompiled engines are built. Engines that are compiled when they are built need a driver:
  // where the target is a description, they are chosen only. Throws Error(kInternal) that names the
  // graph where no engine suits.
  void plan();

  struct Plan {
    std::string engine;           // cuDNN's name: number and settings
    int64_t workspace_bytes = 0;  // device memory that execute() needs; known once built
    bool runtime_compiled = false;
    bool built = false;
    bool tensor_cores = false;  // or otherwise rounds its operands
    bool deterministic = true;
  };
  const Plan& chosen() const { return plan_; }

  // Enqueues the convolution on the handle's stream, with each tensor of the graph bound.
  // `workspace`: chosen().workspace_bytes of device memory, aligned as cudaMalloc does, to 256
  // bytes.
  void execute(cudnnContext* handle, std::span<const ConvBinding> bindings,
               std::byte* workspace) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  ConvSpec spec_;
  Plan plan_;
};

// "9.19.0", of the loaded library. Throws Error(kInput) where it is missing.
std::string version();

}  // namespace verace::kernels::cudnn
