// Reading datatype and dataspace messages.
#include "weights/hdf5/datatype.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "kernels/format.h"
#include "weights/safetensors_header.h"

namespace verace::weights::hdf5 {
namespace {

constexpr const char* kClassNames[] = {
    "integers",     "floating-point numbers", "times",     "strings",
    "bit fields",   "opaque bytes",           "compounds", "references",
    "enumerations", "variable lengths",       "arrays",    "complex numbers",
};
enum Class : uint8_t { kFloatClass = 1, kStringClass = 3, kVariableClass = 9 };

// What tells IEEE 754 numbers of one size from any other floating-point numbers.
struct FloatFormat {
  Dtype dtype;
  uint32_t bytes, sign_bit;
  uint16_t bit_offset, precision;
  uint8_t exponent_bit, exponent_bits, mantissa_bit, mantissa_bits;
  uint32_t bias;
  bool operator==(const FloatFormat&) const = default;
};

constexpr FloatFormat kFloats[] = {
    {Dtype::kF16, 2, 15, 0, 16, 10, 5, 0, 10, 15},
    {Dtype::kF32, 4, 31, 0, 32, 23, 8, 0, 23, 127},
    {Dtype::kF64, 8, 63, 0, 64, 52, 11, 0, 52, 1023},
};

void parse_float(Cursor& cursor, uint32_t flags, Datatype& type) {
  constexpr uint32_t kByteOrder = 0x41;      // big-endian and VAX
  constexpr uint32_t kNormalisation = 0x30;  // 0x20: the mantissa's first bit is implied
  FloatFormat found{};
  found.bytes = static_cast<uint32_t>(type.bytes);
  found.sign_bit = (flags >> 8) & 0xff;
  found.bit_offset = cursor.u16();
  found.precision = cursor.u16();
  found.exponent_bit = cursor.u8();
  found.exponent_bits = cursor.u8();
  found.mantissa_bit = cursor.u8();
  found.mantissa_bits = cursor.u8();
  found.bias = cursor.u32();
  if ((flags & kByteOrder) != 0) {
    type.description = "big-endian " + type.description;
    return;
  }
  for (const FloatFormat& format : kFloats) {
    found.dtype = format.dtype;
    if (found == format && (flags & kNormalisation) == 0x20) {
      type.kind = Datatype::Kind::kFloat;
      type.dtype = format.dtype;
      return;
    }
  }
  type.description = "unusual " + type.description;
}

}  // namespace

Datatype parse_datatype(const Source& source, std::span<const std::byte> message) {
  Cursor cursor(source, message, "a datatype message");
  const uint8_t head = cursor.u8();
  const uint8_t version = head >> 4;
  const uint8_t number = head & 0xf;
  if (version < 1 || version > 5) cursor.fail(text::format("has the unknown version {}", version));
  const uint32_t flags = cursor.u8() | uint32_t{cursor.u8()} << 8 | uint32_t{cursor.u8()} << 16;
  Datatype type;
  type.bytes = cursor.u32();
  type.description = text::format("{}-bit {}", type.bytes * 8,
                                  number < std::size(kClassNames) ? kClassNames[number] : "things");
  constexpr uint32_t kPadding = 0xf;
  switch (number) {
    case kFloatClass:
      parse_float(cursor, flags, type);
      break;
    case kStringClass:
      type.kind = Datatype::Kind::kFixedString;
      type.space_padded = (flags & kPadding) == 2;
      break;
    case kVariableClass:
      if ((flags & 0xf) == 1 && type.bytes == 16) type.kind = Datatype::Kind::kVariableString;
      break;
    default:
      break;
  }
  return type;
}

Dataspace parse_dataspace(const Source& source, std::span<const std::byte> message) {
  Cursor cursor(source, message, "a dataspace message");
  const uint8_t version = cursor.u8();
  const uint8_t rank = cursor.u8();
  cursor.skip(1);  // flags: whether the shape's limits follow it
  Dataspace space;
  if (version == 1) {
    cursor.skip(5);
  } else if (version == 2) {
    constexpr uint8_t kNull = 2;
    if (cursor.u8() == kNull) space.elements = 0;
  } else {
    cursor.fail(text::format("has the unknown version {}", version));
  }
  if (rank > kMaxRank) cursor.fail(text::format("has {} extents, at most {}", rank, kMaxRank));
  // The product without zeros: a shape that is too large is refused wherever its zeros stand.
  uint64_t product = 1;
  for (uint8_t i = 0; i < rank; ++i) {
    const uint64_t extent = cursor.u64();
    constexpr uint64_t kLimit = std::numeric_limits<int64_t>::max();
    if (__builtin_mul_overflow(product, std::max(extent, uint64_t{1}), &product) ||
        product > kLimit) {
      cursor.fail("has 2^63 elements or more");
    }
    if (extent == 0) space.elements = 0;
    space.shape.push_back(static_cast<int64_t>(extent));
  }
  if (space.elements != 0) space.elements = product;
  return space;
}

}  // namespace verace::weights::hdf5
