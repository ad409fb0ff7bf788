// Numbers in the byte order of zip files and pickles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace verace::weights {

// The unsigned little-endian number that at most 8 bytes hold; 0 for none.
inline uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[i]);
  return value;
}

}  // namespace verace::weights
