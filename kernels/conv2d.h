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

#include "kernels/exec.h"
#include "kernels/shape.h"

namespace verace::kernels {

// What happens to a forward result before it is written: y = relu(conv + bias + add), each part
// optional.
struct ConvPostOps {
  bool bias = false;
  bool add = false;
  bool relu = false;
  bool operator==(const ConvPostOps&) const = default;
};

struct ConvForwardArgs {
  const float* x = nullptr;       // [n, h, w, c]
  const float* packed = nullptr;  // what pack() wrote
  const float* bias = nullptr;    // [k]; needed with post op bias
  const float* add = nullptr;     // [n, p, q, k]; needed with post op add; add == y costs no copy
  float* y = nullptr;             // [n, p, q, k], overwritten; may alias `add`, never x
  std::byte* scratch = nullptr;   // scratch_bytes(), 64-byte aligned
};

class ConvForward {
 public:
  virtual ~ConvForward() = default;
  virtual int64_t packed_count() const = 0;                    // floats
  virtual void pack(const float* w, float* packed) const = 0;  // w [k,r,s,c] -> packed
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvForwardArgs& args) const = 0;
  virtual const char* implementation() const = 0;  // the library's name of the kernel, for reports
};

struct ConvBackwardDataArgs {
  const float* dy = nullptr;      // [n, p, q, k]
  const float* packed = nullptr;  // what pack() wrote
  float* dx = nullptr;            // [n, h, w, c], overwritten
  std::byte* scratch = nullptr;
};

class ConvBackwardData {
 public:
  virtual ~ConvBackwardData() = default;
  virtual int64_t packed_count() const = 0;
  virtual void pack(const float* w, float* packed) const = 0;
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvBackwardDataArgs& args) const = 0;
  virtual const char* implementation() const = 0;
};

struct ConvBackwardFilterArgs {
  const float* x = nullptr;   // [n, h, w, c]
  const float* dy = nullptr;  // [n, p, q, k]
  float* dw = nullptr;        // [k, r, s, c], written or added to by mode (kSkip is refused)
  GradMode mode = GradMode::kOverwrite;
  std::byte* scratch = nullptr;
};

class ConvBackwardFilter {
 public:
  virtual ~ConvBackwardFilter() = default;
  virtual int64_t scratch_bytes() const = 0;
  virtual void run(const ConvBackwardFilterArgs& args) const = 0;
  virtual const char* implementation() const = 0;
};

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

// The plan for exec.device. Throws Error(kInternal) on impossible geometry.
inline std::unique_ptr<ConvForward> plan_conv_forward(const Exec& exec, const ConvGeometry& g,
                                                      ConvPostOps post = {}) {
  return host_function(exec, cpu::plan_conv_forward, reference::plan_conv_forward)(exec, g, post);
}
inline std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec& exec,
                                                                 const ConvGeometry& g) {
  return host_function(exec, cpu::plan_conv_backward_data, reference::plan_conv_backward_data)(exec,
                                                                                               g);
}
inline std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec& exec,
                                                                     const ConvGeometry& g) {
  return host_function(exec, cpu::plan_conv_backward_filter, reference::plan_conv_backward_filter)(
      exec, g);
}

}  // namespace verace::kernels
