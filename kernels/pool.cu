// Pooling on CUDA: a thread per pixel and eight channels; gradients are gathered, without atomics.
#include "kernels/pool.h"

#include <limits>

#include "kernels/channel_packs.cuh"
#include "kernels/pool_windows.h"

namespace verace::kernels::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// PoolGeometry in 32 bits.
struct Windows {
  int h, w, p, q, r, s, stride_h, stride_w, pad_h, pad_w;
  unsigned packs;  // of a pixel
  size_t c;
};

// The item of a thread: block x is a row of pictures, the threads along y are its pixels' packs.
struct PixelPack {
  unsigned column, image, row;
  size_t channel;
  int valid;
  bool exists;

  __device__ PixelPack(unsigned rows, unsigned columns, const Windows& g) {
    const unsigned item = blockIdx.y * kThreads + threadIdx.x;
    column = item / g.packs;
    image = blockIdx.x / rows;
    row = blockIdx.x % rows;
    channel = static_cast<size_t>(item % g.packs) * kPackChannels;
    valid = simt::valid_of<kPackChannels>(channel, g.c);
    exists = column < columns;
  }
};

template <bool kVector>
__device__ void store_winners(const int (&winner)[kPackChannels], int valid, uint8_t* p) {
  if constexpr (kVector) {
    unsigned low = 0, high = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      low |= static_cast<unsigned>(winner[k]) << (8 * k);
      high |= static_cast<unsigned>(winner[4 + k]) << (8 * k);
    }
    *reinterpret_cast<uint2*>(p) = make_uint2(low, high);
  } else {
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) {
      if (k < valid) p[k] = static_cast<uint8_t>(winner[k]);
    }
  }
}

template <bool kVector>
__device__ void load_winners(const uint8_t* p, int valid, int (&winner)[kPackChannels]) {
  if constexpr (kVector) {
    const uint2 both = *reinterpret_cast<const uint2*>(p);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      winner[k] = static_cast<int>(both.x >> (8 * k) & 255u);
      winner[4 + k] = static_cast<int>(both.y >> (8 * k) & 255u);
    }
  } else {
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) winner[k] = k < valid ? p[k] : 0;
  }
}

// --- max pooling

template <bool kVector, class T>
__device__ void window_maximum(const Windows& g, const PixelPack& at, const T* x, T* y,
                               uint8_t* winners) {
  const Taps<int> rows = taps(static_cast<int>(at.row), g.stride_h, g.pad_h, g.r, g.h);
  const Taps<int> columns = taps(static_cast<int>(at.column), g.stride_w, g.pad_w, g.s, g.w);
  Pack best;
  int winner[kPackChannels];
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) {
    best[k] = kMinusInfinity;
    winner[k] = rows.begin * g.s + columns.begin;
  }
  for (int r = rows.begin; r < rows.end; ++r) {
    const size_t row = static_cast<size_t>(at.image) * g.h + (rows.start + r);
#pragma unroll 3
    for (int s = columns.begin; s < columns.end; ++s) {
      const size_t pixel = row * g.w + (columns.start + s);
      Pack value;
      simt::load_some<kVector>(x + pixel * g.c + at.channel, at.valid, value);
#pragma unroll
      for (int k = 0; k < kPackChannels; ++k) {
        const bool wins = wins_over(value[k], best[k]);
        best[k] = wins ? value[k] : best[k];
        winner[k] = wins ? r * g.s + s : winner[k];
      }
    }
  }
  const size_t pixel = (static_cast<size_t>(at.image) * g.p + at.row) * g.q + at.column;
  simt::store_some<kVector>(y + pixel * g.c + at.channel, at.valid, best);
  if (winners != nullptr) {
    store_winners<kVector>(winner, at.valid, winners + pixel * g.c + at.channel);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    max_pool_forward_kernel(Windows g, bool vectors, const T* x, T* y, uint8_t* winners) {
  const PixelPack at(static_cast<unsigned>(g.p), static_cast<unsigned>(g.q), g);
  if (!at.exists) return;
  if (vectors) {
    window_maximum<true>(g, at, x, y, winners);
  } else {
    window_maximum<false>(g, at, x, y, winners);
  }
}

template <class T>
struct Gather {
  const T *dy, *dy2;
  const uint8_t* winners;
  T* dx;
};

// Gradient of one input pixel: collected from the windows over it, in row order.
template <bool kVector, class T>
__device__ void gather(const Windows& g, const PixelPack& at, const Gather<T>& a) {
  const int h = static_cast<int>(at.row), w = static_cast<int>(at.column);
  const Outputs<int> ps = outputs_over(h, g.stride_h, g.pad_h, g.r, g.p);
  const Outputs<int> qs = outputs_over(w, g.stride_w, g.pad_w, g.s, g.q);
  Pack sum = {};
  for (int p = ps.begin; p < ps.end; ++p) {
    for (int q = qs.begin; q < qs.end; ++q) {
      const size_t pixel = (static_cast<size_t>(at.image) * g.p + p) * g.q + q;
      const size_t i = pixel * g.c + at.channel;
      const int code = (h + g.pad_h - p * g.stride_h) * g.s + w + g.pad_w - q * g.stride_w;
      Pack dy, dy2 = {};
      int winner[kPackChannels];
      simt::load_some<kVector>(a.dy + i, at.valid, dy);
      if (a.dy2 != nullptr) simt::load_some<kVector>(a.dy2 + i, at.valid, dy2);
      load_winners<kVector>(a.winners + i, at.valid, winner);
#pragma unroll
      for (int k = 0; k < kPackChannels; ++k) {
        sum[k] += winner[k] == code ? dy[k] + dy2[k] : 0.0f;
      }
    }
  }
  const size_t pixel = (static_cast<size_t>(at.image) * g.h + at.row) * g.w + at.column;
  simt::store_some<kVector>(a.dx + pixel * g.c + at.channel, at.valid, sum);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(Windows g, bool vectors, Gather<T> a) {
  const PixelPack at(static_cast<unsigned>(g.h), static_cast<unsigned>(g.w), g);
  if (!at.exists) return;
  if (vectors) {
    gather<true>(g, at, a);
  } else {
    gather<false>(g, at, a);
  }
}

// --- global average pooling: block x is a picture, block y a tile of channels; 8 lanes of pixels

constexpr unsigned kLanesX = 32, kLanesY = kSumThreads / kLanesX;

// Adds every kLanesY-th pixel of a picture, of which `x` is the first.
template <bool kVector, class T>
__device__ void add_pixels(const T* x, size_t pixels, size_t c, int valid,
                           double (&sum)[kPackChannels]) {
#pragma unroll 4
  for (size_t i = threadIdx.y; i < pixels; i += kLanesY) {
    Pack value;
    simt::load_some<kVector>(x + i * c, valid, value);
#pragma unroll
    for (int k = 0; k < kPackChannels; ++k) sum[k] += static_cast<double>(value[k]);
  }
}

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    average_forward_kernel(size_t pixels, size_t c, bool vectors, const T* x, T* y) {
  __shared__ double sums[kPackChannels][kSumThreads];
  const unsigned thread = thread_of_block();
  const size_t channel = (static_cast<size_t>(blockIdx.y) * kLanesX + threadIdx.x) * kPackChannels;
  const int valid = simt::valid_of<kPackChannels>(channel, c);
  const T* picture = x + blockIdx.x * pixels * c + channel;
  double sum[kPackChannels] = {};
  if (vectors && valid > 0) add_pixels<true>(picture, pixels, c, valid, sum);
  if (!vectors && valid > 0) add_pixels<false>(picture, pixels, c, valid, sum);
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) sums[k][thread] = sum[k];
  add_lanes(sums);
  if (threadIdx.y == 0) {
    for (int k = 0; k < valid; ++k) {
      const double mean = sums[k][thread] / static_cast<double>(pixels);
      simt::assign(y[blockIdx.x * c + channel + k], static_cast<float>(mean));
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    average_backward_kernel(size_t pixels, size_t c, bool vectors, const T* dy, T* dx) {
  const size_t channel = (static_cast<size_t>(blockIdx.y) * kLanesX + threadIdx.x) * kPackChannels;
  const int valid = simt::valid_of<kPackChannels>(channel, c);
  if (valid == 0) return;
  Pack value;
  simt::load_some<false>(dy + blockIdx.x * c + channel, valid, value);
#pragma unroll
  for (int k = 0; k < kPackChannels; ++k) value[k] /= static_cast<float>(pixels);
  for (size_t i = threadIdx.y; i < pixels; i += kLanesY) {
    T* to = dx + (blockIdx.x * pixels + i) * c + channel;
    if (vectors) {
      simt::store_some<true>(to, valid, value);
    } else {
      simt::store_some<false>(to, valid, value);
    }
  }
}

// --- launchers

int narrow(int64_t size) {
  VERACE_CHECK(size >= 0 && size <= 0x3fffffff, "too large for the pooling kernels");
  return static_cast<int>(size);
}

Windows windows(const PoolGeometry& g) {
  validate(g);
  VERACE_CHECK(g.r * g.s <= 255);
  return {narrow(g.x.h),
          narrow(g.x.w),
          narrow(g.p()),
          narrow(g.q()),
          narrow(g.r),
          narrow(g.s),
          narrow(g.stride_h),
          narrow(g.stride_w),
          narrow(g.pad_h),
          narrow(g.pad_w),
          grid_size(RowChunks::ceil_div(g.x.c, kPackChannels)),
          static_cast<size_t>(g.x.c)};
}

// One thread per pixel and pack of `rows` rows of `columns` pixels in each picture.
dim3 pixel_grid(const Windows& w, int64_t images, int rows, int columns) {
  const int64_t items = static_cast<int64_t>(columns) * w.packs;
  return {grid_size(images * rows), grid_size(RowChunks::ceil_div(items, kThreads), 65535), 1};
}

dim3 picture_grid(const Nhwc& shape) {
  VERACE_CHECK(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
  const int64_t tiles = RowChunks::ceil_div(shape.c, kLanesX * kPackChannels);
  return {grid_size(shape.n), grid_size(tiles, 65535), 1};
}

}  // namespace

template <class T>
void max_pool_forward(const Exec& exec, const MaxPoolForwardOf<T>& args) {
  const PoolGeometry& g = args.geometry;
  const Windows w = windows(g);
  const bool vectors = g.x.c % kPackChannels == 0 && simt::is_vector_aligned(args.x, args.y) &&
                       simt::is_vector_aligned(args.winner);
  simt::launch(max_pool_forward_kernel<T>,
               {pixel_grid(w, g.x.n, w.p, w.q), kThreads, 0, exec.stream}, w, vectors, args.x,
               args.y, args.winner);
}

template <class T>
void max_pool_backward(const Exec& exec, const MaxPoolBackwardOf<T>& args) {
  const PoolGeometry& g = args.geometry;
  const Windows w = windows(g);
  const bool vectors = g.x.c % kPackChannels == 0 &&
                       simt::is_vector_aligned(args.dy, args.dy2, args.dx) &&
                       simt::is_vector_aligned(args.winner);
  simt::launch(max_pool_backward_kernel<T>,
               {pixel_grid(w, g.x.n, w.h, w.w), kThreads, 0, exec.stream}, w, vectors,
               Gather<T>{args.dy, args.dy2, args.winner, args.dx});
}

template <class T>
void global_average_pool_forward(const Exec& exec, const GlobalAveragePoolForwardOf<T>& args) {
  const Nhwc& shape = args.shape;
  const bool vectors = shape.c % kPackChannels == 0 && simt::is_vector_aligned(args.x);
  simt::launch(average_forward_kernel<T>,
               {picture_grid(shape), dim3(kLanesX, kLanesY), 0, exec.stream},
               static_cast<size_t>(shape.h * shape.w), static_cast<size_t>(shape.c), vectors,
               args.x, args.y);
}

template <class T>
void global_average_pool_backward(const Exec& exec, const GlobalAveragePoolBackwardOf<T>& args) {
  const Nhwc& shape = args.shape;
  const bool vectors = shape.c % kPackChannels == 0 && simt::is_vector_aligned(args.dx);
  simt::launch(average_backward_kernel<T>,
               {picture_grid(shape), dim3(kLanesX, kLanesY), 0, exec.stream},
               static_cast<size_t>(shape.h * shape.w), static_cast<size_t>(shape.c), vectors,
               args.dy, args.dx);
}

template void max_pool_forward(const Exec&, const MaxPoolForwardOf<float>&);
template void max_pool_forward(const Exec&, const MaxPoolForwardOf<Half>&);
template void max_pool_forward(const Exec&, const MaxPoolForwardOf<BFloat16>&);
template void max_pool_backward(const Exec&, const MaxPoolBackwardOf<float>&);
template void max_pool_backward(const Exec&, const MaxPoolBackwardOf<Half>&);
template void max_pool_backward(const Exec&, const MaxPoolBackwardOf<BFloat16>&);
template void global_average_pool_forward(const Exec&, const GlobalAveragePoolForwardOf<float>&);
template void global_average_pool_forward(const Exec&, const GlobalAveragePoolForwardOf<Half>&);
template void global_average_pool_forward(const Exec&, const GlobalAveragePoolForwardOf<BFloat16>&);
template void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackwardOf<float>&);
template void global_average_pool_backward(const Exec&, const GlobalAveragePoolBackwardOf<Half>&);
template void global_average_pool_backward(const Exec&,
                                           const GlobalAveragePoolBackwardOf<BFloat16>&);

}  // namespace verace::kernels::cuda
