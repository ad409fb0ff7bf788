// The checksum of zip members.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace verace::weights {

// CRC-32 as zip and PNG use it (polynomial 0xEDB88320 reflected, initial value and result
// inverted).
uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace verace::weights
