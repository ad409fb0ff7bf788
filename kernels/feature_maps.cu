// Joining feature maps on CUDA: a thread per element of the result, going round a loop.
#include "kernels/feature_maps.h"

#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;

struct Enlarging {
  size_t h, w, c, coarse_h, coarse_w;
};

__global__ void __launch_bounds__(kElementThreads)
    upsample_add_kernel(size_t count, Enlarging s, const float* fine,
                        const float* __restrict__ coarse, float* y) {
  simt::for_each_vector<1>(count, [&](auto, size_t i) {
    const size_t k = i % s.c, column = i / s.c % s.w, row = i / s.c / s.w % s.h;
    const size_t image = i / s.c / s.w / s.h;
    const size_t from_row = image * s.coarse_h + row * s.coarse_h / s.h;
    const size_t from = from_row * s.coarse_w + column * s.coarse_w / s.w;
    y[i] = fine[i] + coarse[from * s.c + k];
  });
}

struct Parts {
  const float* x[ConcatChannels::kParts];
  size_t c[ConcatChannels::kParts];
};

__global__ void __launch_bounds__(kElementThreads)
    concat_channels_kernel(size_t count, size_t c, Parts parts, float* __restrict__ y) {
  simt::for_each_vector<1>(count, [&](auto, size_t i) {
    const size_t row = i / c;
    const size_t channel = i % c;
    // Indices that the compiler knows: others would put the table on the thread's stack.
    const float* x = parts.x[0];
    size_t width = parts.c[0], first = 0, end = parts.c[0];
#pragma unroll
    for (int part = 1; part < ConcatChannels::kParts; ++part) {
      if (channel >= end) {
        x = parts.x[part];
        width = parts.c[part];
        first = end;
      }
      end += parts.c[part];
    }
    y[i] = x[row * width + channel - first];
  });
}

}  // namespace

void upsample_add(const Exec& exec, const UpsampleAdd& a) {
  validate(a);
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  const int64_t count = a.shape.count();
  const Enlarging sizes{size(a.shape.h), size(a.shape.w), size(a.shape.c), size(a.coarse_h),
                        size(a.coarse_w)};
  simt::launch(upsample_add_kernel, simt::element_wise<1>(count, exec.stream), size(count), sizes,
               a.fine, a.coarse, a.y);
}

void concat_channels(const Exec& exec, const ConcatChannels& a) {
  validate(a);
  Parts parts{};
  for (int i = 0; i < ConcatChannels::kParts; ++i) {
    parts.x[i] = a.parts[static_cast<size_t>(i)].x;
    parts.c[i] = static_cast<size_t>(a.parts[static_cast<size_t>(i)].c);
  }
  const int64_t count = a.rows * a.c();
  simt::launch(concat_channels_kernel, simt::element_wise<1>(count, exec.stream),
               static_cast<size_t>(count), static_cast<size_t>(a.c()), parts, a.y);
}

}  // namespace verace::kernels::cuda
