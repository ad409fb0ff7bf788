// Joining feature maps on CUDA: a thread per element of the result, going round a loop.
#include "kernels/feature_maps.h"

#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;

__global__ void __launch_bounds__(kElementThreads)
    upsample_add_kernel(size_t count, size_t h, size_t w, size_t c, size_t coarse_h,
                        size_t coarse_w, const float* fine, const float* __restrict__ coarse,
                        float* y) {
  simt::for_each_vector<1>(count, [&](auto, size_t i) {
    const size_t k = i % c, column = i / c % w, row = i / c / w % h, image = i / c / w / h;
    const size_t from = (image * coarse_h + row * coarse_h / h) * coarse_w + column * coarse_w / w;
    y[i] = fine[i] + coarse[from * c + k];
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
    size_t channel = i % c;
    int part = 0;
    while (channel >= parts.c[part]) channel -= parts.c[part++];
    y[i] = parts.x[part][row * parts.c[part] + channel];
  });
}

}  // namespace

void upsample_add(const Exec& exec, const UpsampleAdd& a) {
  validate(a);
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  const int64_t count = a.shape.count();
  simt::launch(upsample_add_kernel, simt::element_wise<1>(count, exec.stream), size(count),
               size(a.shape.h), size(a.shape.w), size(a.shape.c), size(a.coarse_h),
               size(a.coarse_w), a.fine, a.coarse, a.y);
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
