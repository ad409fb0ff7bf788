// Element types of stored tensors: their names in safetensors files and their sizes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace verace::weights {

enum class Dtype {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64,
  kC64,
};

// Bytes per element.
int64_t size_of(Dtype dtype);

// "F32", "BF16" ... as the format spells them.
std::string_view to_string(Dtype dtype);

// Nothing for an unknown name. Types smaller than a byte (F4, F6_...) are unknown on purpose.
std::optional<Dtype> parse_dtype(std::string_view name);

// Whether WeightFile::read_f32 can convert it without loss: F32, F16, BF16.
bool is_exact_in_f32(Dtype dtype);

}  // namespace verace::weights
