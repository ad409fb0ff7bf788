// Forward convolution by oneDNN, with bias, addition and ReLU as part of the primitive.
#include "kernels/onednn/conv2d_forward.h"

#include <cstring>

#include "kernels/check.h"
#include "kernels/parallel.h"

namespace verace::kernels::onednn {

namespace {

dnnl::primitive_attr post_op_attr(ConvPostOps post) {
  dnnl::primitive_attr attr = user_scratch_attr();
  dnnl::post_ops ops;
  // The sum reads what y holds already. A binary post-op could read `add` elsewhere, but makes
  // oneDNN 2.6 choose kernels that are 10 to 50 % slower on the shapes of ResNet-50.
  if (post.add) ops.append_sum(1.0f);
  if (post.relu) append_relu(ops, post.slope);
  attr.set_post_ops(ops);
  return attr;
}

// Where the library's first choice is not its fastest on NHWC (measured with 2.6 on AVX-512).
const char* implementation_for(const ConvGeometry& g) {
  // It reads strided pixels where they lie, again for each block of filters; its older 1x1 kernel
  // gathers them first (up to 1.5 times as fast, never much slower).
  if (skips_pixels(g)) return "jit_1x1";
  // It multiplies one row of the image at a time, too little on 7x7 (ResNet-50's last stage); with
  // few images that hardly matters, because then reading the weights decides.
  if (g.r * g.s > 1 && g.stride_w == 1 && g.q() <= 8 && g.x.n >= 8) return "jit:";
  return "";
}

ForwardDesc describe(const ConvGeometry& g, ConvPostOps post) {
  return forward_desc(engine(), conv_descs(g, post.bias), dnnl::prop_kind::forward_inference,
                      post_op_attr(post), implementation_for(g));
}

}  // namespace

OneDnnForward::OneDnnForward(const Exec& exec, const ConvGeometry& g, ConvPostOps post)
    : exec_(exec), y_count_(g.y().count()), post_(post) {
  const ThreadScope threads(exec.threads);
  desc_ = describe(g, post);
  pack_ = Reorder(canonical_weights(g), desc_.weights_desc());
  call_ = Call(dnnl::convolution_forward(desc_),
               {{DNNL_ARG_SRC, desc_.src_desc()},
                {DNNL_ARG_WEIGHTS, desc_.weights_desc()},
                {DNNL_ARG_BIAS, post.bias ? desc_.bias_desc() : dnnl::memory::desc()},
                {DNNL_ARG_DST, desc_.dst_desc()},
                {DNNL_ARG_SCRATCHPAD, desc_.scratchpad_desc()}});
}

void OneDnnForward::pack(const float* w, float* packed) const {
  const ThreadScope threads(exec_.threads);
  pack_.run(w, packed);
}

void OneDnnForward::run(const ConvForwardArgs& args) const {
  VERACE_CHECK(args.x != nullptr && args.packed != nullptr && args.y != nullptr);
  VERACE_CHECK(args.x != args.y);
  VERACE_CHECK(!post_.bias || args.bias != nullptr);
  VERACE_CHECK(!post_.add || args.add != nullptr);
  VERACE_CHECK(args.scratch != nullptr || scratch_bytes() == 0);
  const ThreadScope threads(exec_.threads);
  if (post_.add && args.add != args.y) copy(args.add, args.y);
  call_.bind(DNNL_ARG_SRC, args.x);
  call_.bind(DNNL_ARG_WEIGHTS, args.packed);
  call_.bind(DNNL_ARG_BIAS, args.bias);
  call_.bind(DNNL_ARG_DST, args.y);
  call_.bind(DNNL_ARG_SCRATCHPAD, args.scratch);
  call_.execute();
}

void OneDnnForward::copy(const float* from, float* to) const {
  parallel_ranges(exec_, y_count_, kElementGrain, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
  });
}

}  // namespace verace::kernels::onednn

namespace verace::kernels::cpu {

std::unique_ptr<ConvForward> plan_conv_forward(const Exec& exec, const ConvGeometry& g,
                                               ConvPostOps post) {
  validate(g);
  validate(post);
  return std::make_unique<onednn::OneDnnForward>(exec, g, post);
}

}  // namespace verace::kernels::cpu
