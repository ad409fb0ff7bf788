// Checks of geometry.
#include "kernels/shape.h"

#include "kernels/check.h"

namespace verace::kernels {

void validate(const ConvGeometry& g) {
  VERACE_CHECK(g.x.n > 0 && g.x.h > 0 && g.x.w > 0 && g.x.c > 0);
  VERACE_CHECK(g.k > 0 && g.r > 0 && g.s > 0 && g.stride_h > 0 && g.stride_w > 0);
  VERACE_CHECK(g.pad_h >= 0 && g.pad_w >= 0);
  VERACE_CHECK(g.x.h + 2 * g.pad_h >= g.r && g.x.w + 2 * g.pad_w >= g.s);
}

void validate(const PoolGeometry& g) {
  VERACE_CHECK(g.x.n > 0 && g.x.h > 0 && g.x.w > 0 && g.x.c > 0);
  VERACE_CHECK(g.r > 0 && g.s > 0 && g.stride_h > 0 && g.stride_w > 0);
  VERACE_CHECK(g.pad_h >= 0 && g.pad_w >= 0 && g.pad_h < g.r && g.pad_w < g.s);
  VERACE_CHECK(g.x.h + 2 * g.pad_h >= g.r && g.x.w + 2 * g.pad_w >= g.s);
}

}  // namespace verace::kernels
