// Functions on __half and __nv_bfloat16 that NVIDIA's headers leave to the device: fused
// multiply-add, mathematics, conversions to integers. Each rounds once, from double.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>

#include "kernels/simt/emulator/intrinsics.h"

namespace verace::simt::emulator {

inline double to_double(__half x) { return double{__half2float(x)}; }
inline double to_double(__nv_bfloat16 x) { return double{__bfloat162float(x)}; }
inline __half round_to(double x, __half) { return __double2half(x); }
inline __nv_bfloat16 round_to(double x, __nv_bfloat16) { return __double2bfloat16(x); }

// The product of two 11-bit significands is exact in double; so is nearly every sum with the third.
template <class T>
double multiply_add(T a, T b, T c) {
  return std::fma(to_double(a), to_double(b), to_double(c));
}
inline double saturate(double x) { return x > 0 ? std::min(x, 1.0) : 0.0; }
inline double rectify(double x) { return x < 0 ? 0.0 : x; }

}  // namespace verace::simt::emulator

// One function of one argument, for a type and its pair.
#define SIMT_HALF_FUNCTION(name, pair_name, T, Pair, expression) \
  inline T name(T a) {                                           \
    const double x = verace::simt::emulator::to_double(a);       \
    return verace::simt::emulator::round_to((expression), T{});  \
  }                                                              \
  inline Pair pair_name(Pair a) { return Pair(name(a.x), name(a.y)); }

#define SIMT_HALF_FUNCTIONS(T, Pair)                                     \
  SIMT_HALF_FUNCTION(hsqrt, h2sqrt, T, Pair, std::sqrt(x))               \
  SIMT_HALF_FUNCTION(hrsqrt, h2rsqrt, T, Pair, 1.0 / std::sqrt(x))       \
  SIMT_HALF_FUNCTION(hrcp, h2rcp, T, Pair, 1.0 / x)                      \
  SIMT_HALF_FUNCTION(hlog, h2log, T, Pair, std::log(x))                  \
  SIMT_HALF_FUNCTION(hlog2, h2log2, T, Pair, std::log2(x))               \
  SIMT_HALF_FUNCTION(hlog10, h2log10, T, Pair, std::log10(x))            \
  SIMT_HALF_FUNCTION(hexp, h2exp, T, Pair, std::exp(x))                  \
  SIMT_HALF_FUNCTION(hexp2, h2exp2, T, Pair, std::exp2(x))               \
  SIMT_HALF_FUNCTION(hexp10, h2exp10, T, Pair, std::pow(10.0, x))        \
  SIMT_HALF_FUNCTION(htanh, h2tanh, T, Pair, std::tanh(x))               \
  SIMT_HALF_FUNCTION(htanh_approx, h2tanh_approx, T, Pair, std::tanh(x)) \
  SIMT_HALF_FUNCTION(hsin, h2sin, T, Pair, std::sin(x))                  \
  SIMT_HALF_FUNCTION(hcos, h2cos, T, Pair, std::cos(x))                  \
  SIMT_HALF_FUNCTION(hceil, h2ceil, T, Pair, std::ceil(x))               \
  SIMT_HALF_FUNCTION(hfloor, h2floor, T, Pair, std::floor(x))            \
  SIMT_HALF_FUNCTION(htrunc, h2trunc, T, Pair, std::trunc(x))            \
  SIMT_HALF_FUNCTION(hrint, h2rint, T, Pair, std::nearbyint(x))          \
  inline T __hfma(T a, T b, T c) {                                       \
    using namespace verace::simt::emulator;                              \
    return round_to(multiply_add(a, b, c), T{});                         \
  }                                                                      \
  inline T __hfma_sat(T a, T b, T c) {                                   \
    using namespace verace::simt::emulator;                              \
    return round_to(saturate(multiply_add(a, b, c)), T{});               \
  }                                                                      \
  inline T __hfma_relu(T a, T b, T c) {                                  \
    using namespace verace::simt::emulator;                              \
    return round_to(rectify(multiply_add(a, b, c)), T{});                \
  }                                                                      \
  inline Pair __hfma2(Pair a, Pair b, Pair c) {                          \
    return Pair(__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y));           \
  }                                                                      \
  inline Pair __hfma2_sat(Pair a, Pair b, Pair c) {                      \
    return Pair(__hfma_sat(a.x, b.x, c.x), __hfma_sat(a.y, b.y, c.y));   \
  }                                                                      \
  inline Pair __hfma2_relu(Pair a, Pair b, Pair c) {                     \
    return Pair(__hfma_relu(a.x, b.x, c.x), __hfma_relu(a.y, b.y, c.y)); \
  }

SIMT_HALF_FUNCTIONS(__half, __half2)
SIMT_HALF_FUNCTIONS(__nv_bfloat16, __nv_bfloat162)
#undef SIMT_HALF_FUNCTIONS
#undef SIMT_HALF_FUNCTION

inline int __half2int_rn(__half x) {
  return verace::simt::emulator::saturated_int(std::nearbyint(__half2float(x)));
}
inline int __half2int_rd(__half x) {
  return verace::simt::emulator::saturated_int(std::floor(__half2float(x)));
}
inline int __half2int_ru(__half x) {
  return verace::simt::emulator::saturated_int(std::ceil(__half2float(x)));
}
inline int __bfloat162int_rn(__nv_bfloat16 x) {
  return verace::simt::emulator::saturated_int(std::nearbyint(__bfloat162float(x)));
}
inline int __bfloat162int_rd(__nv_bfloat16 x) {
  return verace::simt::emulator::saturated_int(std::floor(__bfloat162float(x)));
}
inline int __bfloat162int_ru(__nv_bfloat16 x) {
  return verace::simt::emulator::saturated_int(std::ceil(__bfloat162float(x)));
}
