// Storage types of tensors on a GPU: fp32, fp16 and bf16 numbers, and exact conversions on the
// host.
//
// Arithmetic is always fp32: a kernel converts what it loads and rounds what it stores, to nearest,
// ties to even. The 16-bit types are bare bits, so that contracts need no CUDA header.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace verace::kernels {

// IEEE binary16: 5 bits of exponent, 10 of fraction; largest number 65504, smallest 2^-24.
struct Half {
  uint16_t bits;
  bool operator==(const Half&) const = default;
};

// bfloat16: the upper half of an fp32 number (8 bits of exponent, 7 of fraction).
struct BFloat16 {
  uint16_t bits;
  bool operator==(const BFloat16&) const = default;
};

template <typename T>
inline constexpr bool is_storage =
    std::is_same_v<T, float> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

// --- to fp32: exact for all patterns; a NaN keeps its sign and payload

inline float to_float(float x) { return x; }

// Subnormals become normal fp32 numbers. Masks instead of a branch (with which GCC would not
// vectorise loops over it) and no fp32 subnormal on the way (so that flush-to-zero modes cannot
// change a result).
inline float to_float(Half x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t rebias = magnitude >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
  const uint32_t normal = (magnitude << 13) + rebias;
  const uint32_t is_subnormal = -static_cast<uint32_t>(magnitude < 0x0400u);  // all bits or none
  return std::bit_cast<float>(sign | (subnormal & is_subnormal) | (normal & ~is_subnormal));
}

inline float to_float(BFloat16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

// --- from fp32: to nearest, ties to even; beyond the largest number infinity; NaN stays some NaN
// (the devices choose another payload)

template <typename T>
T from_float(float x) = delete;

template <>
inline float from_float<float>(float x) {
  return x;
}

template <>
inline Half from_float<Half>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t rounded = 0;
  if (magnitude > 0x7f800000u) {  // NaN, made quiet
    rounded = 0x7e00u | ((magnitude >> 13) & 0x01ffu);
  } else if (magnitude >= 0x47800000u) {  // 2^16 and more
    rounded = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: in units of 2^-24, which 0.5 + |x| has
    rounded = std::bit_cast<uint32_t>(0.5f + std::bit_cast<float>(magnitude)) - 0x3f000000u;
  } else {  // a carry runs into the exponent, from 65520 on up to infinity
    rounded = (magnitude + 0x0fffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  }
  return {static_cast<uint16_t>(sign | rounded)};
}

template <>
inline BFloat16 from_float<BFloat16>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// --- tensors whose storage type is known at run time only

enum class StorageType : uint8_t { kFloat, kHalf, kBFloat16 };

template <typename T>
constexpr StorageType storage_type() {
  static_assert(is_storage<T>);
  if constexpr (std::is_same_v<T, Half>) return StorageType::kHalf;
  if constexpr (std::is_same_v<T, BFloat16>) return StorageType::kBFloat16;
  return StorageType::kFloat;
}

constexpr int64_t bytes_of(StorageType type) { return type == StorageType::kFloat ? 4 : 2; }

// A pointer to numbers of a storage type that is known at run time only; Void is void or const
// void. It is made from any storage pointer, and nullptr by default.
template <typename Void>
class AnyStorage {
  template <typename T>
  using Pointer = std::conditional_t<std::is_const_v<Void>, const T*, T*>;

 public:
  AnyStorage() = default;
  AnyStorage(Pointer<float> p) : data_(p), type_(StorageType::kFloat) {}
  AnyStorage(Pointer<Half> p) : data_(p), type_(StorageType::kHalf) {}
  AnyStorage(Pointer<BFloat16> p) : data_(p), type_(StorageType::kBFloat16) {}

  Void* data() const { return data_; }
  StorageType type() const { return type_; }

  // The pointer, if its type is T; else nullptr.
  template <typename T>
  Pointer<T> as() const {
    return type_ == storage_type<T>() ? static_cast<Pointer<T>>(data_) : nullptr;
  }

 private:
  Void* data_ = nullptr;
  StorageType type_ = StorageType::kFloat;
};

// `count` numbers of some storage type.
struct StorageTensor {
  AnyStorage<void> data;
  int64_t count = 0;
};
struct ConstStorageTensor {
  AnyStorage<const void> data;
  int64_t count = 0;
};

// Calls body(pointer) with the pointer as one to float, Half or BFloat16.
template <typename Void, typename Body>
void with_type(const AnyStorage<Void>& p, const Body& body) {
  switch (p.type()) {
    case StorageType::kFloat:
      return body(p.template as<float>());
    case StorageType::kHalf:
      return body(p.template as<Half>());
    case StorageType::kBFloat16:
      return body(p.template as<BFloat16>());
  }
}

}  // namespace verace::kernels
