// Joining feature maps on the CPU: rows in parallel.
#include "kernels/feature_maps.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace verace::kernels::cpu {

void upsample_add(const Exec& exec, const UpsampleAdd& a) {
  validate(a);
  const auto [n, h, w, c] = a.shape;
  const int64_t grain = std::max<int64_t>(1, kElementGrain / (w * c));
  parallel_ranges(exec, n * h, grain, [&, h = h, w = w, c = c](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t from = row / h * a.coarse_h + row % h * a.coarse_h / h;
      const float* coarse = a.coarse + from * a.coarse_w * c;
      for (int64_t j = 0; j < w; ++j) {
        const float *x = a.fine + (row * w + j) * c, *add = coarse + j * a.coarse_w / w * c;
        float* y = a.y + (row * w + j) * c;
#pragma omp simd
        for (int64_t k = 0; k < c; ++k) y[k] = x[k] + add[k];
      }
    }
  });
}

void concat_channels(const Exec& exec, const ConcatChannels& a) {
  validate(a);
  const int64_t c = a.c(), grain = std::max<int64_t>(1, kElementGrain / c);
  parallel_ranges(exec, a.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* y = a.y + row * c;
      for (const ConcatChannels::Part& part : a.parts) {
        y = std::copy_n(part.x + row * part.c, part.c, y);
      }
    }
  });
}

}  // namespace verace::kernels::cpu
