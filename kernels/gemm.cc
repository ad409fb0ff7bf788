// What every device checks of a matrix product.
#include "kernels/gemm.h"

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels {

void validate(const GemmSpec& spec) {
  VERACE_CHECK(spec.m >= 1 && spec.n >= 1 && spec.k >= 1, to_string(spec));
  VERACE_CHECK(!spec.accumulate || (!spec.bias && !spec.relu), to_string(spec));
}

void validate(const GemmSpec& spec, const GemmArgs& args) {
  VERACE_CHECK(args.a != nullptr && args.b != nullptr && args.c != nullptr, to_string(spec));
  VERACE_CHECK(args.c != args.a && args.c != args.b, to_string(spec));
  VERACE_CHECK(spec.bias == (args.bias != nullptr), to_string(spec));
}

std::string to_string(const GemmSpec& spec) {
  return text::format("{}x{}{}{}{}, sums of {}{}{}", spec.m, spec.n, spec.bias ? "+bias" : "",
                      spec.relu ? "+relu" : "", spec.accumulate ? ", added" : "", spec.k,
                      spec.transpose_a ? ", A transposed" : "",
                      spec.transpose_b ? ", B transposed" : "");
}

}  // namespace verace::kernels
