// Device code's access to tensors: any storage type as floats, 2 to 16 bytes at a time, and the
// element-wise loop over whole vectors and the tail.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/check.h"
#include "kernels/simt/launch.h"
#include "kernels/storage.h"

namespace verace::simt {

using kernels::BFloat16;
using kernels::Half;

// --- one number; rounding to nearest, ties to even

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(Half x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ inline float widen(BFloat16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}

__device__ inline void assign(float& to, float x) { to = x; }
__device__ inline void assign(Half& to, float x) { to.bits = __half_as_ushort(__float2half_rn(x)); }
__device__ inline void assign(BFloat16& to, float x) {
  to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

// False for NaN and the infinities, whose exponent is all ones.
__device__ inline bool is_finite(float x) {
  constexpr uint32_t kExponent = 0x7F800000u;
  return (__float_as_uint(x) & kExponent) != kExponent;
}

namespace detail {

// What a 32-bit word holds of each storage type.
template <typename T>
struct Word;

template <>
struct Word<float> {
  static __device__ void unpack(uint32_t word, float* x) { x[0] = __uint_as_float(word); }
  static __device__ uint32_t pack(const float* x) { return __float_as_uint(x[0]); }
};

template <>
struct Word<Half> {
  static __device__ void unpack(uint32_t word, float* x) {
    x[0] = widen(Half{static_cast<uint16_t>(word)});
    x[1] = widen(Half{static_cast<uint16_t>(word >> 16)});
  }
  static __device__ uint32_t pack(const float* x) {  // one instruction for both
    const __half2 both = __floats2half2_rn(x[0], x[1]);
    return static_cast<uint32_t>(__half_as_ushort(__high2half(both))) << 16 |
           __half_as_ushort(__low2half(both));
  }
};

template <>
struct Word<BFloat16> {
  static __device__ void unpack(uint32_t word, float* x) {
    x[0] = __uint_as_float(word << 16);
    x[1] = __uint_as_float(word & 0xffff0000u);
  }
  static __device__ uint32_t pack(const float* x) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(x[0], x[1]);
    return static_cast<uint32_t>(__bfloat16_as_ushort(__high2bfloat16(both))) << 16 |
           __bfloat16_as_ushort(__low2bfloat16(both));
  }
};

// The emulated device checks what a device's vector access demands.
__device__ inline void check_aligned([[maybe_unused]] const void* p, [[maybe_unused]] size_t n) {
#if SIMT_EMULATED
  emulator::check_aligned(p, n);
#endif
}

template <int kWords>
struct Access;
template <>
struct Access<1> {
  static __device__ void load(const void* p, uint32_t* w) {
    check_aligned(p, 4);
    w[0] = *static_cast<const uint32_t*>(p);
  }
  static __device__ void store(void* p, const uint32_t* w) {
    check_aligned(p, 4);
    *static_cast<uint32_t*>(p) = w[0];
  }
};
template <>
struct Access<2> {
  static __device__ void load(const void* p, uint32_t* w) {
    check_aligned(p, 8);
    const uint2 raw = *static_cast<const uint2*>(p);
    w[0] = raw.x, w[1] = raw.y;
  }
  static __device__ void store(void* p, const uint32_t* w) {
    check_aligned(p, 8);
    *static_cast<uint2*>(p) = make_uint2(w[0], w[1]);
  }
};
template <>
struct Access<4> {
  static __device__ void load(const void* p, uint32_t* w) {
    check_aligned(p, 16);
    const uint4 raw = *static_cast<const uint4*>(p);
    w[0] = raw.x, w[1] = raw.y, w[2] = raw.z, w[3] = raw.w;
  }
  static __device__ void store(void* p, const uint32_t* w) {
    check_aligned(p, 16);
    *static_cast<uint4*>(p) = make_uint4(w[0], w[1], w[2], w[3]);
  }
};

// 32-bit words per access for `kBytes` bytes: the widest access that divides them.
template <size_t kBytes>
inline constexpr int words_of = kBytes % 16 == 0 ? 4 : (kBytes % 8 == 0 ? 2 : 1);

}  // namespace detail

// --- kCount numbers; p must be aligned to the access: kCount * sizeof(T) bytes, at most 16

template <int kCount, typename T>
__device__ inline void load(const T* p, float (&x)[kCount]) {
  if constexpr (kCount * sizeof(T) % 4 != 0) {
    for (int k = 0; k < kCount; ++k) x[k] = widen(p[k]);
  } else {
    constexpr int kWords = detail::words_of<kCount * sizeof(T)>;
    constexpr int kPerWord = 4 / sizeof(T);
#pragma unroll
    for (int k = 0; k < kCount; k += kWords * kPerWord) {
      uint32_t words[kWords];
      detail::Access<kWords>::load(p + k, words);
#pragma unroll
      for (int w = 0; w < kWords; ++w) detail::Word<T>::unpack(words[w], x + k + w * kPerWord);
    }
  }
}

template <int kCount, typename T>
__device__ inline void store(T* p, const float (&x)[kCount]) {
  if constexpr (kCount * sizeof(T) % 4 != 0) {
    for (int k = 0; k < kCount; ++k) assign(p[k], x[k]);
  } else {
    constexpr int kWords = detail::words_of<kCount * sizeof(T)>;
    constexpr int kPerWord = 4 / sizeof(T);
#pragma unroll
    for (int k = 0; k < kCount; k += kWords * kPerWord) {
      uint32_t words[kWords];
#pragma unroll
      for (int w = 0; w < kWords; ++w) words[w] = detail::Word<T>::pack(x + k + w * kPerWord);
      detail::Access<kWords>::store(p + k, words);
    }
  }
}

// --- kCount numbers or fewer; one by one where kVectors is false, so that any address does

// The first `valid` numbers of p, zeros behind them. kVectors: as load(), and all are there.
template <bool kVectors, int kCount, typename T>
__device__ inline void load_some(const T* p, int valid, float (&x)[kCount]) {
  if constexpr (kVectors) {
    load(p, x);
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) x[k] = k < valid ? widen(p[k]) : 0.0f;
  }
}

// The first `valid` numbers of x. kVectors: as store(), and all are wanted.
template <bool kVectors, int kCount, typename T>
__device__ inline void store_some(T* p, int valid, const float (&x)[kCount]) {
  if constexpr (kVectors) {
    store(p, x);
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      if (k < valid) assign(p[k], x[k]);
    }
  }
}

// How many of the kCount numbers from `first` on are below `count`.
template <int kCount>
__device__ inline int valid_of(size_t first, size_t count) {
  if (first >= count) return 0;
  const size_t left = count - first;
  return left < kCount ? static_cast<int>(left) : kCount;
}

// --- the element-wise loop

// How many elements a call of the loop's body handles, as a compile-time constant.
template <int kCount>
struct Width {
  static constexpr int value = kCount;
};

// Elements of T in 16 bytes.
template <typename T>
inline constexpr int vector_width = 16 / static_cast<int>(sizeof(T));

// Calls body(Width<kWidth>{}, i) for i = 0, kWidth, 2 * kWidth ... and body(Width<1>{}, i) for the
// tail of [0, count), each i once, spread over all threads of a one-dimensional grid.
template <int kWidth, typename Body>
__device__ inline void for_each_vector(size_t count, const Body& body) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  const size_t first = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const size_t whole = count / kWidth * kWidth;
  for (size_t i = first * kWidth; i < whole; i += stride * kWidth) body(Width<kWidth>{}, i);
  if constexpr (kWidth > 1) {
    for (size_t i = whole + first; i < count; i += stride) body(Width<1>{}, i);
  }
}

// --- for launchers (host code)

// True when every pointer is a multiple of 16 bytes (or nullptr): whole vectors may be accessed.
template <typename... T>
bool is_vector_aligned(const T*... p) {
  return (... && (reinterpret_cast<uintptr_t>(p) % 16 == 0));
}

// Threads per block of the element-wise kernels: up to eight blocks share a multiprocessor, fewer
// where a kernel takes more than 32 registers.
inline constexpr unsigned kElementThreads = 256;

// More blocks than these do not help; the loops of the kernels go round. Four waves of full
// occupancy on the largest Hopper (132 multiprocessors); few where they are emulated, so that the
// loops of small tests go round as well.
inline constexpr int64_t kMostBlocks = SIMT_EMULATED ? 3 : 132 * 8 * 4;

// Blocks for `items` pieces of work at `per_block` each: at least 1, and no more than `most`.
inline unsigned blocks_for(int64_t items, int64_t per_block, int64_t most = kMostBlocks) {
  VERACE_CHECK(items >= 0 && per_block > 0 && most > 0 && most <= 0x7fffffff);
  const int64_t wanted = items / per_block + (items % per_block != 0 ? 1 : 0);
  return static_cast<unsigned>(wanted < 1 ? 1 : (wanted < most ? wanted : most));
}

// A kernel whose threads take kWidth of `count` elements at a time (for_each_vector).
template <int kWidth>
LaunchConfig element_wise(int64_t count, cudaStream_t stream, const char* file = __builtin_FILE(),
                          int line = __builtin_LINE()) {
  return {blocks_for(count, kElementThreads * kWidth), kElementThreads, 0, stream, file, line};
}

}  // namespace verace::simt
