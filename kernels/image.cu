// Pictures to network input and back on CUDA devices.
#include "kernels/image.h"

#include "kernels/check.h"
#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels::cuda {
namespace {

using simt::kElementThreads;

// z[0 .. kChannels) of one pixel from its r, g, b in [0, 1].
template <int kChannels>
__device__ inline void normalise_one(const PictureScale& s, const float* unit, float* z) {
  z[0] = scale_pixel(s.reversed ? unit[2] : unit[0], s.scale[0], s.shift[0]);
  z[1] = scale_pixel(unit[1], s.scale[1], s.shift[1]);
  z[2] = scale_pixel(s.reversed ? unit[0] : unit[2], s.scale[2], s.shift[2]);
#pragma unroll
  for (int ch = 3; ch < kChannels; ++ch) z[ch] = 0.0f;
}

struct Pictures {
  const uint8_t* x;     // [rows / height, height, width, 3]
  const uint8_t* flip;  // [rows / height] or nullptr
  uint32_t rows, height, width;
};

constexpr unsigned kColumns = 32, kRows = 8;  // threads of a block of pixels_kernel

// A thread makes kPixels neighbouring pixels of the output: four of three channels, so that
// accesses have 4 bytes at least, or one of padded ones, which fills a vector by itself. kVectors:
// x and z allow that, and width is a multiple of kPixels.
template <bool kVectors, int kPixels, int kChannels, typename T>
__global__ void __launch_bounds__(kColumns* kRows)
    pixels_kernel(const Pictures p, const PictureScale scale, T* __restrict__ z) {
  const size_t column = (static_cast<size_t>(blockIdx.x) * kColumns + threadIdx.x) * kPixels;
  if (column >= p.width) return;
  for (uint32_t row = blockIdx.y * kRows + threadIdx.y; row < p.rows; row += gridDim.y * kRows) {
    const bool mirrored = p.flip != nullptr && p.flip[row / p.height] != 0;
    const size_t first = mirrored ? p.width - kPixels - column : column;
    const uint8_t* from = p.x + (static_cast<size_t>(row) * p.width + first) * 3;
    uint8_t bytes[kPixels * 3];
    if constexpr (kPixels == 4) {
      uint32_t words[3];
#pragma unroll
      for (int k = 0; k < 3; ++k) words[k] = reinterpret_cast<const uint32_t*>(from)[k];
#pragma unroll
      for (int k = 0; k < 12; ++k) bytes[k] = static_cast<uint8_t>(words[k / 4] >> (k % 4 * 8));
    } else {
#pragma unroll
      for (int k = 0; k < kPixels * 3; ++k) bytes[k] = from[k];
    }
    float out[kPixels * kChannels];
#pragma unroll
    for (int i = 0; i < kPixels; ++i) {
      float unit[3];
#pragma unroll
      for (int ch = 0; ch < 3; ++ch) {
        const int other = (kPixels - 1 - i) * 3 + ch;
        unit[ch] = unit_of_pixel(mirrored ? bytes[other] : bytes[i * 3 + ch]);
      }
      normalise_one<kChannels>(scale, unit, out + i * kChannels);
    }
    simt::store_some<kVectors>(z + (static_cast<size_t>(row) * p.width + column) * kChannels,
                               kPixels * kChannels, out);
  }
}

// Pixels that a thread takes at a time: 12 floats of a picture are three vectors.
constexpr int kGroup = 4;

// No __restrict__: z may be x; a pixel is read before it is written, by the same thread.
template <bool kVectors, int kChannels, typename T>
__global__ void __launch_bounds__(kElementThreads)
    normalise_kernel(size_t pixels, const float* x, const PictureScale scale, T* z) {
  simt::for_each_vector<kVectors ? kGroup : 1>(pixels, [&](auto width, size_t i) {
    constexpr int kPixels = decltype(width)::value;
    float unit[kPixels * 3], out[kPixels * kChannels];
    simt::load_some<kVectors>(x + i * 3, kPixels * 3, unit);
#pragma unroll
    for (int k = 0; k < kPixels; ++k) {
      normalise_one<kChannels>(scale, unit + k * 3, out + k * kChannels);
    }
    simt::store_some<kVectors>(z + i * kChannels, kPixels * kChannels, out);
  });
}

template <bool kVectors, int kChannels, typename T>
__global__ void __launch_bounds__(kElementThreads)
    normalise_backward_kernel(size_t pixels, const T* dz, const PictureScale scale, float* dx) {
  simt::for_each_vector<kVectors ? kGroup : 1>(pixels, [&](auto width, size_t i) {
    constexpr int kPixels = decltype(width)::value;
    float in[kPixels * kChannels], out[kPixels * 3];
    simt::load_some<kVectors>(dz + i * kChannels, kPixels * kChannels, in);
#pragma unroll
    for (int k = 0; k < kPixels; ++k) {
      const float a = in[k * kChannels] * scale.scale[0];
      const float c = in[k * kChannels + 2] * scale.scale[2];
      out[k * 3] = scale.reversed ? c : a;
      out[k * 3 + 1] = in[k * kChannels + 1] * scale.scale[1];
      out[k * 3 + 2] = scale.reversed ? a : c;
    }
    simt::store_some<kVectors>(dx + i * 3, kPixels * 3, out);
  });
}

// Calls body(simt::Width<n>{}) for the n that `channels` is.
template <typename Body>
void with_channels(int64_t channels, const Body& body) {
  if (channels == 3) return body(simt::Width<3>{});
  if (channels == 4) return body(simt::Width<4>{});
  body(simt::Width<8>{});
}

uint32_t narrow(int64_t size) {
  VERACE_CHECK(size >= 0 && size <= 0x7fffffff);
  return static_cast<uint32_t>(size);
}

}  // namespace

template <typename T>
void normalise_pixels(const Exec& exec, const NormalisePixelsOf<T>& a) {
  if (!check_pictures(a.shape, a.channels)) return;
  const Pictures p{a.x, a.flip, narrow(a.shape.n * a.shape.h), narrow(a.shape.h),
                   narrow(a.shape.w)};
  with_channels(a.channels, [&](auto channels) {
    constexpr int kChannels = decltype(channels)::value;
    constexpr int kPixels = kChannels == 3 ? 4 : 1;
    const bool whole = a.shape.w % kPixels == 0 && simt::is_vector_aligned(a.z) &&
                       (kPixels == 1 || simt::is_vector_aligned(a.x));
    const auto kernel =
        whole ? pixels_kernel<true, kPixels, kChannels, T> : pixels_kernel<false, 1, kChannels, T>;
    const dim3 grid(simt::blocks_for(a.shape.w, kColumns * (whole ? kPixels : 1), 0x7fffffff),
                    simt::blocks_for(p.rows, kRows));
    simt::launch(kernel, {grid, dim3(kColumns, kRows), 0, exec.stream}, p, picture_scale(a.mode),
                 a.z);
  });
}

// The unit scale multiplies by 1 and subtracts 0: every bit stays.
void pixels_to_unit(const Exec& exec, const PixelsToUnit& a) {
  cuda::normalise_pixels(exec, NormalisePixels{a.shape, a.x, a.flip, PixelScale::kUnit, a.y});
}

template <typename T>
void normalise(const Exec& exec, const NormaliseOf<T>& a) {
  if (!check_pictures(a.shape, a.channels)) return;
  with_channels(a.channels, [&](auto channels) {
    constexpr int kChannels = decltype(channels)::value;
    const bool aligned = simt::is_vector_aligned(a.x) && simt::is_vector_aligned(a.z);
    const auto kernel =
        aligned ? normalise_kernel<true, kChannels, T> : normalise_kernel<false, kChannels, T>;
    simt::launch(kernel, simt::element_wise<kGroup>(a.shape.rows(), exec.stream),
                 static_cast<size_t>(a.shape.rows()), a.x, picture_scale(a.mode), a.z);
  });
}

template <typename T>
void normalise_backward(const Exec& exec, const NormaliseBackwardOf<T>& a) {
  if (!check_pictures(a.shape, a.channels)) return;
  with_channels(a.channels, [&](auto channels) {
    constexpr int kChannels = decltype(channels)::value;
    const bool aligned = simt::is_vector_aligned(a.dz) && simt::is_vector_aligned(a.dx);
    const auto kernel = aligned ? normalise_backward_kernel<true, kChannels, T>
                                : normalise_backward_kernel<false, kChannels, T>;
    simt::launch(kernel, simt::element_wise<kGroup>(a.shape.rows(), exec.stream),
                 static_cast<size_t>(a.shape.rows()), a.dz, picture_scale(a.mode), a.dx);
  });
}

template void normalise_pixels(const Exec&, const NormalisePixelsOf<float>&);
template void normalise_pixels(const Exec&, const NormalisePixelsOf<Half>&);
template void normalise_pixels(const Exec&, const NormalisePixelsOf<BFloat16>&);
template void normalise(const Exec&, const NormaliseOf<float>&);
template void normalise(const Exec&, const NormaliseOf<Half>&);
template void normalise(const Exec&, const NormaliseOf<BFloat16>&);
template void normalise_backward(const Exec&, const NormaliseBackwardOf<float>&);
template void normalise_backward(const Exec&, const NormaliseBackwardOf<Half>&);
template void normalise_backward(const Exec&, const NormaliseBackwardOf<BFloat16>&);

}  // namespace verace::kernels::cuda
