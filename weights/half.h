// Exact conversion of stored 16-bit floating-point numbers to fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/storage.h"

namespace verace::weights {

// One number; the conversions themselves are kernels/storage.h's.
inline float f16_to_f32(uint16_t bits) { return kernels::to_float(kernels::Half{bits}); }
inline float bf16_to_f32(uint16_t bits) { return kernels::to_float(kernels::BFloat16{bits}); }

// The same for whole arrays, little-endian. `source` may have any alignment and must hold exactly
// two bytes per element of `target` (Error(kInternal) otherwise).
void f16_to_f32(std::span<const std::byte> source, std::span<float> target);
void bf16_to_f32(std::span<const std::byte> source, std::span<float> target);

}  // namespace verace::weights
