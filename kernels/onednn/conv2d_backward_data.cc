// Gradient of a convolution with respect to its input, by oneDNN.
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/onednn/conv2d_common.h"
#include "kernels/onednn/conv2d_subpixel.h"
#include "kernels/onednn/conv2d_turned.h"

namespace verace::kernels::cpu {

namespace {

namespace one = verace::kernels::onednn;

// The memory objects are re-pointed by each run: a plan serves one thread at a time.
class OneDnnBackwardData final : public ConvBackwardData {
 public:
  OneDnnBackwardData(const Exec& exec, const ConvGeometry& g) : exec_(exec) {
    const one::ThreadScope threads(exec.threads);
    desc_ = one::backward_data_desc(one::engine(), one::conv_descs(g), one::user_scratch_attr());
    pack_ = one::Reorder(one::canonical_weights(g), desc_.weights_desc());
    call_ = one::Call(dnnl::convolution_backward_data(desc_),
                      {{DNNL_ARG_DIFF_DST, desc_.diff_dst_desc()},
                       {DNNL_ARG_WEIGHTS, desc_.weights_desc()},
                       {DNNL_ARG_DIFF_SRC, desc_.diff_src_desc()},
                       {DNNL_ARG_SCRATCHPAD, desc_.scratchpad_desc()}});
  }

  int64_t packed_count() const override { return one::float_count(desc_.weights_desc()); }
  void pack(const float* w, float* packed) const override {
    const one::ThreadScope threads(exec_.threads);
    pack_.run(w, packed);
  }
  int64_t scratch_bytes() const override {
    return one::round_up_64(desc_.scratchpad_desc().get_size());
  }
  const char* implementation() const override { return desc_.impl_info_str(); }

  void run(const ConvBackwardDataArgs& args) const override {
    VERACE_CHECK(args.dy != nullptr && args.packed != nullptr && args.dx != nullptr);
    VERACE_CHECK(args.scratch != nullptr || scratch_bytes() == 0);
    const one::ThreadScope threads(exec_.threads);
    call_.bind(DNNL_ARG_DIFF_DST, args.dy);
    call_.bind(DNNL_ARG_WEIGHTS, args.packed);
    call_.bind(DNNL_ARG_DIFF_SRC, args.dx);
    call_.bind(DNNL_ARG_SCRATCHPAD, args.scratch);
    call_.execute();
  }

 private:
  Exec exec_;
  one::BackwardDataDesc desc_;
  one::Reorder pack_;
  mutable one::Call call_;
};

}  // namespace

std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec& exec, const ConvGeometry& g) {
  validate(g);
  if (one::can_turn(g) && one::turning_pays(g)) return one::plan_turned(exec, g);
  if (one::wants_subpixel(g)) return one::plan_subpixel(exec, g);
  return std::make_unique<OneDnnBackwardData>(exec, g);
}

}  // namespace verace::kernels::cpu
