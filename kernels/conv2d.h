// Convolution, forward and backward: planned once per geometry, then run.
//
// y[n,p,q,k] = sum_{r,s,c} x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] * w[k,r,s,c]
// (zero outside x): cross-correlation, as in cuDNN, oneDNN, PyTorch and Keras. The gradients follow
// by the chain rule: Dumoulin & Visin, "A guide to convolution arithmetic", arXiv 1603.07285,
// section 4. A plan owns the library's primitive and says which packed form of the weights it
// reads; weights themselves are always kept as [k, r, s, c]. Plans allocate nothing while running:
// scratch comes from the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/shape.h"
#include "kernels/storage.h"

namespace verace::kernels {

// What happens to a forward result before it is written: y = relu(conv + bias + add), each part
// optional.
struct ConvPostOps {
  bool bias = false;
  bool add = false;
  bool relu = false;
  float slope = 0.0f;  // of a leaky ReLU below 0, [0, 1); only with relu
  bool operator==(const ConvPostOps&) const = default;
};

// Throws Error(kInternal) for an impossible slope.
inline void validate(const ConvPostOps& post) {
  VERACE_CHECK(post.slope >= 0.0f && post.slope < 1.0f);
  VERACE_CHECK(post.relu || post.slope == 0.0f, "a slope without ReLU");
}

// The forms ...Of<T> hold activations, packed weights and gradients of storage type T (storage.h);
// 16-bit ones exist on CUDA devices only. Weights come as fp32 and biases stay fp32; sums are fp32
// at least. On a CUDA device all pointers are its own, and pack() and run() only enqueue work on
// the stream that the plan was made for.
template <typename T>
struct ConvForwardArgsOf {
  const T* x = nullptr;          // [n, h, w, c]
  const T* packed = nullptr;     // what pack() wrote
  const float* bias = nullptr;   // [k]; needed with post op bias
  const T* add = nullptr;        // [n, p, q, k]; needed with post op add; add == y costs no copy
  T* y = nullptr;                // [n, p, q, k], overwritten; may alias `add`, never x
  std::byte* scratch = nullptr;  // scratch_bytes(), 64-byte aligned
};
using ConvForwardArgs = ConvForwardArgsOf<float>;

template <typename T>
class ConvForwardOf {
 public:
  virtual ~ConvForwardOf() = default;
  virtual int64_t packed_count() const = 0;                // elements
  virtual void pack(const float* w, T* packed) const = 0;  // w [k,r,s,c] -> packed
  // True: pack() only converts w to T, in the order of [k, r, s, c]. One copy then serves all such
  // plans of a filter, and with T = float the weights themselves are `packed`.
  virtual bool keeps_layout() const { return false; }
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvForwardArgsOf<T>& args) const = 0;
  virtual const char* implementation() const = 0;  // the library's name of the kernel, for reports
};
using ConvForward = ConvForwardOf<float>;

template <typename T>
struct ConvBackwardDataArgsOf {
  const T* dy = nullptr;      // [n, p, q, k]
  const T* packed = nullptr;  // what pack() wrote
  T* dx = nullptr;            // [n, h, w, c], overwritten
  std::byte* scratch = nullptr;
};
using ConvBackwardDataArgs = ConvBackwardDataArgsOf<float>;

template <typename T>
class ConvBackwardDataOf {
 public:
  virtual ~ConvBackwardDataOf() = default;
  virtual int64_t packed_count() const = 0;
  virtual void pack(const float* w, T* packed) const = 0;
  virtual bool keeps_layout() const { return false; }  // as ConvForwardOf's
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvBackwardDataArgsOf<T>& args) const = 0;
  virtual const char* implementation() const = 0;
};
using ConvBackwardData = ConvBackwardDataOf<float>;

template <typename T>
struct ConvBackwardFilterArgsOf {
  const T* x = nullptr;   // [n, h, w, c]
  const T* dy = nullptr;  // [n, p, q, k]
  T* dw = nullptr;        // [k, r, s, c], written or added to by mode (kSkip is refused)
  GradMode mode = GradMode::kOverwrite;
  std::byte* scratch = nullptr;
};
using ConvBackwardFilterArgs = ConvBackwardFilterArgsOf<float>;

template <typename T>
class ConvBackwardFilterOf {
 public:
  virtual ~ConvBackwardFilterOf() = default;
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvBackwardFilterArgsOf<T>& args) const = 0;
  virtual const char* implementation() const = 0;
};
using ConvBackwardFilter = ConvBackwardFilterOf<float>;

namespace cpu {
std::unique_ptr<ConvForward> plan_conv_forward(const Exec&, const ConvGeometry&, ConvPostOps);
std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec&, const ConvGeometry&);
std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec&, const ConvGeometry&);
}  // namespace cpu

namespace reference {
std::unique_ptr<ConvForward> plan_conv_forward(const Exec&, const ConvGeometry&, ConvPostOps);
std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec&, const ConvGeometry&);
std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec&, const ConvGeometry&);
}  // namespace reference

// cuDNN's (kernels/cudnn), or in an emulated build the reference device's. Defined for float, Half
// and BFloat16.
namespace cuda {
template <typename T>
std::unique_ptr<ConvForwardOf<T>> plan_conv_forward(const Exec&, const ConvGeometry&, ConvPostOps);
template <typename T>
std::unique_ptr<ConvBackwardDataOf<T>> plan_conv_backward_data(const Exec&, const ConvGeometry&);
template <typename T>
std::unique_ptr<ConvBackwardFilterOf<T>> plan_conv_backward_filter(const Exec&,
                                                                   const ConvGeometry&);
std::string conv_plan_report();
std::string conv_plan_summary();
}  // namespace cuda
// For the files that define them, inside namespace cuda.
#define VERACE_INSTANTIATE_CONVOLUTIONS(T)                                                       \
  template std::unique_ptr<ConvForwardOf<T>> plan_conv_forward(const Exec&, const ConvGeometry&, \
                                                               ConvPostOps);                     \
  template std::unique_ptr<ConvBackwardDataOf<T>> plan_conv_backward_data(const Exec&,           \
                                                                          const ConvGeometry&);  \
  template std::unique_ptr<ConvBackwardFilterOf<T>> plan_conv_backward_filter(                   \
      const Exec&, const ConvGeometry&);

// The plan for exec.device. Throws Error(kInternal) on impossible geometry; on a CUDA device
// Error(kInput) where cuDNN is missing.
template <typename T = float>
std::unique_ptr<ConvForwardOf<T>> plan_conv_forward(const Exec& exec, const ConvGeometry& g,
                                                    ConvPostOps post = {}) {
  return dispatch_plan<ConvForwardOf<T>, ConvForward>(
      exec, cpu::plan_conv_forward, reference::plan_conv_forward,
      [](auto&... a) { return cuda::plan_conv_forward<T>(a...); }, g, post);
}
template <typename T = float>
std::unique_ptr<ConvBackwardDataOf<T>> plan_conv_backward_data(const Exec& exec,
                                                               const ConvGeometry& g) {
  return dispatch_plan<ConvBackwardDataOf<T>, ConvBackwardData>(
      exec, cpu::plan_conv_backward_data, reference::plan_conv_backward_data,
      [](auto&... a) { return cuda::plan_conv_backward_data<T>(a...); }, g);
}
template <typename T = float>
std::unique_ptr<ConvBackwardFilterOf<T>> plan_conv_backward_filter(const Exec& exec,
                                                                   const ConvGeometry& g) {
  return dispatch_plan<ConvBackwardFilterOf<T>, ConvBackwardFilter>(
      exec, cpu::plan_conv_backward_filter, reference::plan_conv_backward_filter,
      [](auto&... a) { return cuda::plan_conv_backward_filter<T>(a...); }, g);
}

// Which plans the convolutions of this process have taken on CUDA devices: a table of text, a line
// for each distinct convolution: how often it was asked for, the engine, bytes of workspace, how it
// was chosen (the heuristics' first, or timed; from the cache or not). Empty where there are none.
inline std::string conv_plan_report() {
  if constexpr (have_cuda) {
    return cuda::conv_plan_report();
  } else {
    return "";
  }
}

// The same in one line: how many, how they were chosen, the largest workspace.
inline std::string conv_plan_summary() {
  if constexpr (have_cuda) {
    return cuda::conv_plan_summary();
  } else {
    return "";
  }
}

}  // namespace verace::kernels
