// Forward convolution by oneDNN, with bias, addition and ReLU as part of the primitive.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/onednn/conv2d_common.h"

namespace verace::kernels::onednn {

// The memory objects are re-pointed by each run: a plan serves one thread at a time.
class OneDnnForward final : public ConvForward {
 public:
  OneDnnForward(const Exec& exec, const ConvGeometry& g, ConvPostOps post);
  int64_t packed_count() const override { return float_count(desc_.weights_desc()); }
  void pack(const float* w, float* packed) const override;
  int64_t scratch_bytes() const override { return round_up_64(desc_.scratchpad_desc().get_size()); }
  void run(const ConvForwardArgs& args) const override;
  const char* implementation() const override { return desc_.impl_info_str(); }

  // The layout of packed weights.
  dnnl::memory::desc weights_desc() const { return desc_.weights_desc(); }

 private:
  void copy(const float* from, float* to) const;

  Exec exec_;
  int64_t y_count_;
  ConvPostOps post_;
  ForwardDesc desc_;
  Reorder pack_;
  mutable Call call_;
};

}  // namespace verace::kernels::onednn
