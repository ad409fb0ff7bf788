// Numbers in the byte order of zip files and pickles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace verace::weights {

// The unsigned little-endian number that at most 8 bytes hold; 0 for none.
inline uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[i]);
  return value;
}

// The lowest `bytes` bytes (at most 8) of `value`, the lowest first.
inline std::string to_little_endian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

}  // namespace verace::weights
