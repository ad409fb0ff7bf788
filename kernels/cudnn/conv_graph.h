// Convolutions as cuDNN graphs: what is asked for, the engines that cuDNN proposes, and their
// plans.
//
// cuDNN 9 takes a graph of operations on described tensors, proposes engines (kernels with their
// settings) for it and builds an execution plan of one. Everything but the run works from the
// description of a device alone, so the plans are checked where there is no GPU (docs/cudnn.md).
// Sums are fp32. Which engine is taken is decided in plan_choice.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

// What cuDNN says of an engine.
struct Engine {
  std::string name;               // "eng44_k2=4_k18=0": number and settings
  int64_t workspace_bytes = 0;    // device memory that execute() needs; -1: known once it is built
  bool runtime_compiled = false;  // when it is built, which takes seconds and a driver
  bool deterministic = true;      // the same bits in every run
  bool tensor_cores = false;      // or otherwise rounds its operands
  bool transforms = false;        // Winograd's or Fourier's, which lose digits as well
  bool reduced_sums = false;      // in less than fp32
  bool operator==(const Engine&) const = default;
};

// A plan in a form that outlives the process.
struct SavedPlan {
  std::string engine;  // its name
  std::string
      serialised;  // in cuDNN's own form, with its compiled kernel; empty: made from the name
  bool operator==(const SavedPlan&) const = default;
};

// One convolution. First either propose() or remake(), then build(), then execute(); execute() may
// be called by several threads at once, each with a handle of its own.
class ConvGraph {
 public:
  // Describes the convolution to cuDNN and checks it there. Throws Error(kInput) where cuDNN is
  // missing, Error(kInternal) where it refuses the graph.
  ConvGraph(const Target& target, const ConvSpec& spec);
  ~ConvGraph();
  ConvGraph(ConvGraph&&) noexcept;
  ConvGraph& operator=(ConvGraph&&) noexcept;

  const ConvSpec& spec() const { return spec_; }
  // The graph as cuDNN was told, in JSON: operations, tensors, dimensions, strides.
  std::string json() const;

  // Asks the heuristics for engines, best first by their judgement. Throws Error(kInternal) that
  // names the graph where they know none.
  void propose();
  // The one engine of a plan that save() wrote, for the same graph, instead of asking; it is built
  // where build() could build it. Returns "", or why there is none: then the graph is of no further
  // use.
  std::string remake(const SavedPlan& saved);
  const std::vector<Engine>& engines() const { return engines_; }

  // Makes engines()[engine].workspace_bytes known, where cuDNN can tell before it is built. Of all
  // engines this would take as long as the rest of planning.
  void ask_workspace(size_t engine);
  // Makes the plan of engines()[engine], and its workspace known. Returns "", or why there is none.
  std::string build(size_t engine);
  // False also where the target is a description and the engine compiled at run time: such an
  // engine is only known to exist.
  bool is_built(size_t engine) const;
  // Frees the plans of all other engines.
  void keep_only(size_t engine);
  // Needs a built plan, or an engine that is only known to exist. The serialised form is there for
  // engines that are compiled, where cuDNN can give it.
  SavedPlan save(size_t engine) const;

  // Enqueues the convolution on the handle's stream, with each tensor of the graph bound.
  // `workspace`: the built engine's workspace_bytes of device memory, aligned as cudaMalloc does,
  // to 256 bytes; nullptr where it needs none.
  void execute(size_t engine, cudnnContext* handle, std::span<const ConvBinding> bindings,
               std::byte* workspace) const;

 private:
  void describe_engines();

  struct Impl;
  std::unique_ptr<Impl> impl_;
  ConvSpec spec_;
  std::vector<Engine> engines_;
};

// "9.19.0", of the loaded library. Throws Error(kInput) where it is missing.
std::string version();
// "1.18.0", of the headers that this program was compiled with.
std::string frontend_version();

}  // namespace verace::kernels::cudnn
