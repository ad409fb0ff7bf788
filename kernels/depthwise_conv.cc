// Depthwise convolution on the CPU: rows in parallel.
#include "kernels/depthwise_conv.h"

#include <algorithm>

#include "kernels/depthwise_row.h"
#include "kernels/parallel.h"

namespace verace::kernels::cpu {

void depthwise_conv(const Exec& exec, const DepthwiseConv& args) {
  validate(args);
  const int64_t row_count = args.q() * args.shape.c;
  const int64_t grain = std::max<int64_t>(1, kElementGrain / row_count);
  parallel_ranges(exec, args.shape.n * args.p(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      depthwise_row(args, row, 0, args.q(), args.y + row * row_count);
    }
  });
}

}  // namespace verace::kernels::cpu
