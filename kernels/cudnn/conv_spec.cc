// Checking and naming what is asked of cuDNN.
#include "kernels/cudnn/conv_spec.h"

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels::cudnn {
namespace {

const char* pass_name(ConvPass pass) {
  switch (pass) {
    case ConvPass::kForward:
      return "forward";
    case ConvPass::kBackwardData:
      return "backward data";
    case ConvPass::kBackwardFilter:
      break;
  }
  return "backward filter";
}

const char* type_name(const ConvSpec& spec) {
  if (spec.type == StorageType::kHalf) return "fp16";
  if (spec.type == StorageType::kBFloat16) return "bf16";
  return spec.tf32 ? "tf32" : "fp32";
}

std::string activation_name(const ConvPostOps& post) {
  if (!post.relu) return "";
  return post.slope == 0.0f ? "+relu" : text::format("+leaky relu {}", post.slope);
}

}  // namespace

void validate(const ConvSpec& spec) {
  validate(spec.g);
  validate(spec.post);
  VERACE_CHECK(spec.pass == ConvPass::kForward || spec.post == ConvPostOps{}, to_string(spec));
  VERACE_CHECK(!spec.tf32 || spec.type == StorageType::kFloat, to_string(spec));
}

std::string to_string(const ConvSpec& spec) {
  const ConvGeometry& g = spec.g;
  const auto pair = [](int64_t h, int64_t w) {
    return h == w ? text::format("{}", h) : text::format("{}x{}", h, w);
  };
  return text::format("{}{}{}{} {} {}x{}x{}x{} -> {}x{}x{}x{}, {}x{}/{} pad {}",
                      pass_name(spec.pass), spec.post.bias ? "+bias" : "",
                      spec.post.add ? "+add" : "", activation_name(spec.post), type_name(spec),
                      g.x.n, g.x.h, g.x.w, g.x.c, g.x.n, g.p(), g.q(), g.k, g.r, g.s,
                      pair(g.stride_h, g.stride_w), pair(g.pad_h, g.pad_w));
}

}  // namespace verace::kernels::cudnn
