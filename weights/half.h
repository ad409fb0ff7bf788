// Exact conversion of 16-bit floating-point numbers to fp32.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace verace::weights {

// IEEE binary16 -> fp32, exact for all 65536 patterns: subnormals become normal fp32 numbers, NaN
// keeps its sign and payload. Masks instead of a branch (with which GCC would not vectorise loops
// over it) and no fp32 subnormal on the way (so that flush-to-zero modes cannot change a result).
inline uint32_t f16_to_f32_bits(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t rebias = magnitude >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
  const uint32_t normal = (magnitude << 13) + rebias;
  const uint32_t is_subnormal = -static_cast<uint32_t>(magnitude < 0x0400u);  // all bits or none
  return sign | (subnormal & is_subnormal) | (normal & ~is_subnormal);
}

inline float f16_to_f32(uint16_t half) { return std::bit_cast<float>(f16_to_f32_bits(half)); }

// bfloat16 -> fp32: its bits are the upper half of the fp32 number.
inline float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// The same for whole arrays, little-endian. `source` may have any alignment and must hold exactly
// two bytes per element of `target` (Error(kInternal) otherwise).
void f16_to_f32(std::span<const std::byte> source, std::span<float> target);
void bf16_to_f32(std::span<const std::byte> source, std::span<float> target);

}  // namespace verace::weights
