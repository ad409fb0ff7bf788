// Gradient of a convolution with respect to its filter, by oneDNN.
//
// The library sums over images and pixels per thread and adds the threads' sums: unlike all other
// operations, the last bits of the result depend on the number of threads.
#include <algorithm>
#include <string>

#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/onednn/conv2d_common.h"
#include "kernels/onednn/conv2d_pointwise.h"

namespace verace::kernels::cpu {

namespace {

namespace one = verace::kernels::onednn;

dnnl::primitive_attr adding_attr() {
  dnnl::primitive_attr attr = one::user_scratch_attr();
  dnnl::post_ops ops;
  ops.append_sum(1.0f);
  attr.set_post_ops(ops);
  return attr;
}

// On plain NHWC the library's kernel for strided filters takes up to twice the time of its blocked
// one (ResNet v1.5's 3x3 with stride 2): there, converting both activations first pays.
bool wants_blocked(const ConvGeometry& g) {
  return (g.stride_h > 1 || g.stride_w > 1) && g.r * g.s > 1 && g.x.c % 16 == 0 && g.k % 16 == 0;
}

one::BackwardFilterDesc describe(const ConvGeometry& g) {
  const one::ConvDescs descs = wants_blocked(g) ? one::free_descs(g) : one::conv_descs(g);
  return one::backward_filter_desc(one::engine(), descs, one::user_scratch_attr());
}

// One activation in the layout that the primitive reads, converted into scratch if it differs.
class Input {
 public:
  Input() = default;
  Input(const dnnl::memory::desc& plain, const dnnl::memory::desc& native)
      : converts_(plain != native) {
    if (!converts_) return;
    reorder_ = one::Reorder(plain, native, one::user_scratch_attr());
    bytes_ = one::round_up_64(native.get_size());
  }
  bool converts() const { return converts_; }
  int64_t scratch_bytes() const { return bytes_ + reorder_.scratch_bytes(); }
  const float* native(const float* plain, std::byte* scratch) const {
    if (!converts_) return plain;
    reorder_.run(plain, reinterpret_cast<float*>(scratch), scratch + bytes_);
    return reinterpret_cast<const float*>(scratch);
  }

 private:
  bool converts_ = false;
  int64_t bytes_ = 0;
  one::Reorder reorder_;
};

// Scratch: [the primitive's own | x | dy | the gradient in the primitive's layout | the reorder's
// own]. The memory objects are re-pointed by each run: a plan serves one thread at a time.
class OneDnnBackwardFilter final : public ConvBackwardFilter {
 public:
  OneDnnBackwardFilter(const Exec& exec, const ConvGeometry& g) : exec_(exec) {
    const one::ThreadScope threads(exec.threads);
    const one::BackwardFilterDesc desc = describe(g);
    const one::ConvDescs plain = one::conv_descs(g);
    const dnnl::memory::desc native = desc.diff_weights_desc();
    const dnnl::memory::desc canonical = one::canonical_weights(g);
    same_layout_ = native == canonical;
    x_ = Input(plain.x, desc.src_desc());
    dy_ = Input(plain.y, desc.diff_dst_desc());
    copy_ = one::Reorder(native, canonical, one::user_scratch_attr());
    add_ = one::Reorder(native, canonical, adding_attr());
    call_ = one::Call(dnnl::convolution_backward_weights(desc),
                      {{DNNL_ARG_SRC, desc.src_desc()},
                       {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                       {DNNL_ARG_DIFF_WEIGHTS, native},
                       {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
    x_at_ = one::round_up_64(desc.scratchpad_desc().get_size());
    dy_at_ = x_at_ + x_.scratch_bytes();
    native_at_ = dy_at_ + dy_.scratch_bytes();
    reorder_at_ = native_at_ + one::round_up_64(native.get_size());
    scratch_bytes_ = reorder_at_ + std::max(copy_.scratch_bytes(), add_.scratch_bytes());
    name_ = std::string(x_.converts() || dy_.converts() ? "reorder+" : "") + desc.impl_info_str();
  }

  int64_t scratch_bytes() const override { return scratch_bytes_; }
  const char* implementation() const override { return name_.c_str(); }

  void run(const ConvBackwardFilterArgs& args) const override {
    VERACE_CHECK(args.x != nullptr && args.dy != nullptr && args.dw != nullptr);
    VERACE_CHECK(args.mode != GradMode::kSkip);
    VERACE_CHECK(args.scratch != nullptr);
    const one::ThreadScope threads(exec_.threads);
    const bool overwrite = args.mode == GradMode::kOverwrite;
    float* native = reinterpret_cast<float*>(args.scratch + native_at_);
    float* target = overwrite && same_layout_ ? args.dw : native;
    call_.bind(DNNL_ARG_SRC, x_.native(args.x, args.scratch + x_at_));
    call_.bind(DNNL_ARG_DIFF_DST, dy_.native(args.dy, args.scratch + dy_at_));
    call_.bind(DNNL_ARG_DIFF_WEIGHTS, target);
    call_.bind(DNNL_ARG_SCRATCHPAD, args.scratch);
    call_.execute();
    if (target == args.dw) return;
    (overwrite ? copy_ : add_).run(native, args.dw, args.scratch + reorder_at_);
  }

 private:
  Exec exec_;
  Input x_, dy_;
  one::Reorder copy_, add_;
  mutable one::Call call_;
  bool same_layout_ = false;
  int64_t x_at_ = 0, dy_at_ = 0, native_at_ = 0, reorder_at_ = 0, scratch_bytes_ = 0;
  std::string name_;
};

}  // namespace

std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec& exec,
                                                              const ConvGeometry& g) {
  validate(g);
  if (one::is_pointwise(g)) return one::plan_pointwise_filter(exec, g);
  return std::make_unique<OneDnnBackwardFilter>(exec, g);
}

}  // namespace verace::kernels::cpu
